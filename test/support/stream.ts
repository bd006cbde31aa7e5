import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';

/** A stream of responses, read message by message. */
export class StreamReader<Message> {
  readonly #call: ClientReadableStream<Message>;
  readonly #iterator: AsyncIterator<Message>;

  constructor(call: ClientReadableStream<Message>) {
    this.#call = call;
    this.#iterator = call[Symbol.asyncIterator]();
  }

  /** The next message. Fails when the stream ends, with its error where it has one. */
  async next(): Promise<Message> {
    const { value, done } = await this.#iterator.next();
    if (done) throw new Error('the stream has ended');
    return value;
  }

  /** Messages up to the first that is wanted, which is the last of them. */
  async until(isWanted: (message: Message) => boolean): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const message = await this.next();
      messages.push(message);
      if (isWanted(message)) return messages;
    }
  }

  /** The error that the stream ends with; fails when there is a message. */
  async error(): Promise<ServiceError> {
    return this.#iterator.next().then(
      ({ done }) => {
        throw new Error(done ? 'the stream ended well' : 'there is a message');
      },
      (error: ServiceError) => error,
    );
  }

  /** Have enough. */
  cancel(): void {
    // What is cancelled says so as an error, to nobody.
    this.#call.on('error', () => undefined);
    this.#call.cancel();
  }
}
