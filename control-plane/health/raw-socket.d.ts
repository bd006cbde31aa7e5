/** The part of raw-socket 1.8 that is used here; the package has no types of its own. */
declare module 'raw-socket' {
  import type { EventEmitter } from 'node:events';

  export interface RawSocket extends EventEmitter {
    on(event: 'message', listener: (packet: Buffer, source: string) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    on(event: 'close', listener: () => void): this;
    send(
      packet: Buffer,
      offset: number,
      length: number,
      address: string,
      sent: (error: Error | null, bytes: number) => void,
    ): this;
    setOption(level: number, option: number, value: Buffer, length: number): void;
    close(): this;
  }

  export interface RawSocketModule {
    /** 1: IPv4, 2: IPv6. @throws Error with the system's words alone, no code */
    createSocket(options: { protocol: number; addressFamily: 1 | 2; bufferSize?: number }): RawSocket;
  }
}
