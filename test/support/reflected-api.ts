import { Client, credentials, Metadata, makeGenericClientConstructor, status } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor/index.js';

/** The protocol as a client that knows nothing of this API speaks it (grpc/reflection/v1/reflection.proto). */
const REFLECTION = fromJSON(
  protobuf
    .parse(`syntax = "proto3";
    package grpc.reflection.v1;
    message ServerReflectionRequest { string host = 1; oneof message_request {
      string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7; } }
    message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
    message ServiceResponse { string name = 1; }
    message ListServiceResponse { repeated ServiceResponse service = 1; }
    message ErrorResponse { int32 error_code = 1; string error_message = 2; }
    message ServerReflectionResponse { oneof message_response {
      FileDescriptorResponse file_descriptor_response = 4; ListServiceResponse list_services_response = 6;
      ErrorResponse error_response = 7; } }
    service ServerReflection {
      rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse); }`)
    .root.toJSON(),
  {},
)['grpc.reflection.v1.ServerReflection'];

export interface Reflected {
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Buffer[] };
  readonly errorResponse?: { readonly errorCode: number };
}

/** Ask a server's reflection one question. */
export async function reflect(address: string, request: Record<string, string>): Promise<Reflected> {
  if (!REFLECTION || 'format' in REFLECTION) throw new Error('no service');
  const method = REFLECTION.ServerReflectionInfo;
  if (!method) throw new Error('no method');
  const Reflection = makeGenericClientConstructor(REFLECTION, 'ServerReflection');
  const client = new Reflection(address, credentials.createInsecure());
  try {
    return await new Promise<Reflected>((resolve, reject) => {
      const stream = client.makeBidiStreamRequest<object, Reflected>(
        method.path,
        method.requestSerialize,
        (bytes) => method.responseDeserialize(bytes) as Reflected,
        new Metadata(),
      );
      stream.on('data', resolve).on('error', reject);
      stream.write(request);
      stream.end();
    });
  } finally {
    client.close();
  }
}

/** A method as reflection describes it. */
export interface ReflectedMethod {
  /** `/waggle.v1.VipService/GetVip`. */
  readonly path: string;
  readonly request: protobuf.Type;
  readonly response: protobuf.Type;
  readonly isStream: boolean;
}

/** What a call came to. */
export interface CallResult {
  readonly code: status;
  readonly details: string;
  /** Messages that came, as plain objects. */
  readonly messages: readonly Record<string, unknown>[];
}

/** A client of a server that knows of it what reflection tells, and nothing else: as grpcurl does. */
export class ReflectedApi {
  readonly #client: Client;
  readonly methods: readonly ReflectedMethod[];

  private constructor(address: string, methods: readonly ReflectedMethod[]) {
    this.#client = new Client(address, credentials.createInsecure());
    this.methods = methods;
  }

  /** @param services those whose names match */
  static async of(address: string, services: RegExp): Promise<ReflectedApi> {
    const { listServicesResponse } = await reflect(address, { listServices: '*' });
    const names = (listServicesResponse?.service ?? [])
      .map(({ name }) => name)
      .filter((name) => services.test(name));
    const files = new Map<string, unknown>();
    const { FileDescriptorProto, FileDescriptorSet } = descriptor;
    for (const name of names) {
      const { fileDescriptorResponse } = await reflect(address, { fileContainingSymbol: name });
      for (const bytes of fileDescriptorResponse?.fileDescriptorProto ?? []) {
        const file = FileDescriptorProto.toObject(FileDescriptorProto.decode(bytes)) as { name: string };
        files.set(file.name, file);
      }
    }
    const set = FileDescriptorSet.fromObject({ file: [...files.values()] });
    const root = rootOf(set);
    root.resolveAll();
    const methods = names.flatMap((name) => {
      const service = root.lookupService(name);
      return service.methodsArray.map((method): ReflectedMethod => {
        method.resolve();
        if (!method.resolvedRequestType || !method.resolvedResponseType)
          throw new Error(`${method.name}: no types`);
        return {
          path: `/${name}/${method.name}`,
          request: method.resolvedRequestType,
          response: method.resolvedResponseType,
          isStream: method.responseStream ?? false,
        };
      });
    });
    return new ReflectedApi(address, methods);
  }

  method(name: string): ReflectedMethod {
    const found = this.methods.find(({ path }) => path.endsWith(`/${name}`));
    if (!found) throw new Error(`no method ${name}`);
    return found;
  }

  /**
   * Make a call. A stream is ended after its first message.
   * @param message plain object, or bytes that need not be a message at all
   */
  call(method: ReflectedMethod, message: object | Buffer, deadlineMs = 5000): Promise<CallResult> {
    const bytes = Buffer.isBuffer(message)
      ? message
      : Buffer.from(method.request.encode(method.request.fromObject(inSnakeCase(message))).finish());
    const options = { deadline: Date.now() + deadlineMs };
    const same = (data: Buffer) => data;
    const plain = (data: Buffer) =>
      method.response.toObject(method.response.decode(data), {
        longs: String,
        enums: String,
        defaults: true,
      });
    return new Promise((resolve) => {
      const messages: Record<string, unknown>[] = [];
      if (!method.isStream) {
        this.#client.makeUnaryRequest(
          method.path,
          same,
          same,
          bytes,
          new Metadata(),
          options,
          (error, data) => {
            if (data) messages.push(plain(data));
            resolve({ code: error?.code ?? status.OK, details: error?.details ?? '', messages });
          },
        );
        return;
      }
      const stream = this.#client.makeServerStreamRequest(
        method.path,
        same,
        same,
        bytes,
        new Metadata(),
        options,
      );
      stream.on('data', (data: Buffer) => {
        messages.push(plain(data));
        stream.cancel();
      });
      stream.on('error', () => undefined);
      stream.on('status', ({ code, details }) => {
        // It was ended here.
        const isDone = code === status.CANCELLED && messages.length > 0;
        resolve({ code: isDone ? status.OK : code, details: isDone ? '' : details, messages });
      });
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** Fields as the protos name them. */
function inSnakeCase(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([name, field]: [string, unknown]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      plainOf(field),
    ]),
  );
}

function plainOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return inSnakeCase(value);
}

interface FromDescriptor {
  fromDescriptor(descriptor: protobuf.Message): protobuf.Root;
}

/** The extension adds it to the library; its types do not say so. */
const hasFromDescriptor = (value: unknown): value is FromDescriptor =>
  typeof value === 'function' && 'fromDescriptor' in value;

function rootOf(set: protobuf.Message): protobuf.Root {
  const root: unknown = protobuf.Root;
  if (!hasFromDescriptor(root)) throw new Error('the library has no descriptors');
  return root.fromDescriptor(set);
}
