/** The methods of gradwire.proto as grpc-js wants them, and the options of channels and servers. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { ChannelOptions, MethodDefinition } from '@grpc/grpc-js';
import {
  type JoinReply,
  JoinReplySchema,
  type JoinRequest,
  JoinRequestSchema,
} from './gen/gradwire_pb.ts';

/** Version of the frames and messages; peers of another version are refused. */
export const PROTOCOL = '3';

/** Metadata of every call. */
export const METADATA = {
  token: 'gradwire-token',
  protocol: 'gradwire-protocol',
  rank: 'gradwire-rank',
  incarnation: 'gradwire-incarnation',
  /** Of a connection: `crc32` if each of its messages, both ways, ends with one. */
  checksum: 'gradwire-checksum',
} as const;

/**
 * HTTP/2 window in bytes, both ways. Node's http2 stops for ever when both sides write in bulk and the window exceeds what
 * the socket buffers hold: it must stay at or below 2 MB on TCP.
 */
export const WINDOW_BYTES: number = 1024 * 1024;

/** The one checksum that there is. */
export const CRC32 = 'crc32';

/** Longest gRPC message accepted: a segment or a batch of small frames. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc-node.flow_control_window': WINDOW_BYTES,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.enable_channelz': 0,
  'grpc.enable_retries': 0,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
  'grpc.service_config_disable_resolution': 1,
};

/** Streams of one connection: a worker has one, or asks to join. */
const MAX_STREAMS = 256;
/** What Node's http2 may hold for one connection, in MB, beyond which it takes no new streams. */
const MAX_SESSION_MB = 64;

export const SERVER_OPTIONS: ChannelOptions = {
  'grpc.max_concurrent_streams': MAX_STREAMS,
  'grpc-node.max_session_memory': MAX_SESSION_MB,
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.enable_channelz': 0,
};

export const JOIN: MethodDefinition<MessageInitShape<typeof JoinRequestSchema>, JoinReply> & {
  requestDeserialize(bytes: Buffer): JoinRequest;
  responseSerialize(reply: MessageInitShape<typeof JoinReplySchema>): Buffer;
} = {
  path: '/gradwire.v1.Rendezvous/Join',
  requestStream: false,
  responseStream: false,
  requestSerialize: (value) =>
    Buffer.from(toBinary(JoinRequestSchema, create(JoinRequestSchema, value))),
  requestDeserialize: (bytes) => fromBinary(JoinRequestSchema, bytes),
  responseSerialize: (value: MessageInitShape<typeof JoinReplySchema>) =>
    Buffer.from(toBinary(JoinReplySchema, create(JoinReplySchema, value))),
  responseDeserialize: (bytes) => fromBinary(JoinReplySchema, bytes),
};

const identity = (bytes: Buffer): Buffer => bytes;

export const OPEN: MethodDefinition<Buffer, Buffer> = {
  path: '/gradwire.v1.Worker/Open',
  requestStream: true,
  responseStream: true,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
