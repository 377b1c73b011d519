/** Loaded by every process that a measurement starts: it ends with the one that started it, even if that was killed. */
process.once('disconnect', () => process.exit(1));
process.channel?.unref();
