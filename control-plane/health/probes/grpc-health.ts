/**
 * The two messages of grpc.health.v1 (GRPC Health Checking Protocol), each of one field: written and read here, so
 * that a probe needs no schema. Encoding: Protocol Buffers, "Encoding".
 */

export const CHECK_METHOD = '/grpc.health.v1.Health/Check';

/** HealthCheckResponse.ServingStatus by number. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;
export type ServingStatus = (typeof SERVING_STATUS)[number];

const STRING_OF_FIELD_1 = 0x0a;
const VARINT_OF_FIELD_1 = 0x08;
const WIRE_VARINT = 0;
const WIRE_64 = 1;
const WIRE_BYTES = 2;
const WIRE_32 = 5;
const MAX_VARINT_BYTES = 10;

/** HealthCheckRequest { string service = 1; } */
export function encodeRequest(service: string): Buffer {
  if (service === '') return Buffer.alloc(0);
  const text = Buffer.from(service);
  const head = [STRING_OF_FIELD_1];
  let length = text.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), text]);
}

/**
 * HealthCheckResponse { ServingStatus status = 1; }; fields of later versions are passed over.
 * @throws Error when the bytes are no such message
 */
export function decodeResponse(bytes: Uint8Array): ServingStatus {
  let off = 0;
  let status = 0;
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[off++];
      if (byte === undefined) break;
      // Tags and statuses are small: what does not fit a double exactly is none of ours.
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw new Error('the answer is no HealthCheckResponse');
  };
  while (off < bytes.length) {
    const tag = varint();
    if (tag === VARINT_OF_FIELD_1) status = varint();
    else if ((tag & 7) === WIRE_VARINT) varint();
    else if ((tag & 7) === WIRE_64) off += 8;
    else if ((tag & 7) === WIRE_32) off += 4;
    else if ((tag & 7) === WIRE_BYTES) {
      const length = varint();
      off += length;
    } else throw new Error('the answer is no HealthCheckResponse');
  }
  if (off > bytes.length) throw new Error('the answer is no HealthCheckResponse');
  return SERVING_STATUS[status] ?? 'UNKNOWN';
}
