export {
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  GradwireError,
  isGradwireError,
} from './errors.ts';
export { tf } from './tensor/index.ts';
