import protobuf from 'protobufjs';

const root = new protobuf.Root();

// google/protobuf/{any,duration}.proto, google/rpc/status.proto and the parts of google/rpc/error_details.proto in use.
protobuf.parse(
  `syntax = "proto3";
  package google.protobuf;
  message Any { string type_url = 1; bytes value = 2; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }`,
  root,
);
protobuf.parse(
  `syntax = "proto3";
  package google.rpc;
  message Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; }
    repeated FieldViolation field_violations = 1;
  }
  message ResourceInfo { string resource_type = 1; string resource_name = 2; string owner = 3; string description = 4; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message PreconditionFailure {
    message Violation { string type = 1; string subject = 2; string description = 3; }
    repeated Violation violations = 1;
  }
  message QuotaFailure {
    message Violation { string subject = 1; string description = 2; }
    repeated Violation violations = 1;
  }
  message RetryInfo { google.protobuf.Duration retry_delay = 1; }
  message RequestInfo { string request_id = 1; string serving_data = 2; }`,
  root,
);

/** What a refusal says beside its code and message. */
export type Detail =
  | {
      readonly type: 'BadRequest';
      readonly fieldViolations: readonly { readonly field: string; readonly description: string }[];
    }
  | { readonly type: 'ResourceInfo'; readonly resourceType: string; readonly resourceName: string }
  | {
      readonly type: 'ErrorInfo';
      readonly reason: string;
      readonly domain: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  | {
      readonly type: 'PreconditionFailure';
      readonly violations: readonly {
        readonly type: string;
        readonly subject: string;
        readonly description: string;
      }[];
    }
  | {
      readonly type: 'QuotaFailure';
      readonly violations: readonly { readonly subject: string; readonly description: string }[];
    }
  | {
      readonly type: 'RetryInfo';
      readonly retryDelay: { readonly seconds: number; readonly nanos: number };
    }
  | { readonly type: 'RequestInfo'; readonly requestId: string };

/** When to try again. */
export function retryInfo(afterMs: number): Detail {
  const seconds = Math.floor(afterMs / 1000);
  return { type: 'RetryInfo', retryDelay: { seconds, nanos: Math.round((afterMs - seconds * 1000) * 1e6) } };
}

/** Key of the trailer that carries a google.rpc.Status. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_URL = 'type.googleapis.com/google.rpc.';

/** Encode a google.rpc.Status. */
export function encodeStatus(code: number, message: string, details: readonly Detail[]): Buffer {
  const encoded = details.map(({ type, ...fields }) => {
    const Type = root.lookupType(`google.rpc.${type}`);
    return { typeUrl: `${TYPE_URL}${type}`, value: Type.encode(Type.fromObject(fields)).finish() };
  });
  const Status = root.lookupType('google.rpc.Status');
  const status = Status.fromObject({ code, message, details: encoded });
  return Buffer.from(Status.encode(status).finish());
}

/** A decoded google.rpc.Status; details as plain objects under `type`. */
export interface DecodedStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly (Readonly<Record<string, unknown>> & { readonly type: string })[];
}

/** Read what `encodeStatus` wrote; details of unknown types keep their type alone. */
export function decodeStatus(bytes: Uint8Array): DecodedStatus {
  const Status = root.lookupType('google.rpc.Status');
  const status = Status.toObject(Status.decode(bytes), { defaults: true }) as {
    code: number;
    message: string;
    details: { typeUrl: string; value: Uint8Array }[];
  };
  const details = status.details.map(({ typeUrl, value }) => {
    const type = typeUrl.slice(typeUrl.lastIndexOf('.') + 1);
    const Type = typeUrl.startsWith(TYPE_URL) ? root.lookup(`google.rpc.${type}`, [protobuf.Type]) : null;
    return Type instanceof protobuf.Type
      ? { type, ...Type.toObject(Type.decode(value), { defaults: true }) }
      : { type };
  });
  return { code: status.code, message: status.message, details };
}
