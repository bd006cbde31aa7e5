import { CodedError, type Fault } from '../../errors.js';

/** Part of the loading in which an object file was refused. */
export type ObjectStage = 'elf' | 'btf' | 'maps' | 'globals' | 'core' | 'link';

/** What is common to every refusal of an object file: where it stands, and in which part of the loading. */
export interface ObjectFault extends Fault {
  readonly stage: ObjectStage;
  /** Name of the section, '' for the file's own headers. */
  readonly section: string;
  /** Offset in the section (in the file where `section` is ''), bytes. */
  readonly offset: number;
}

/** Base of every error of `loadObject`: the file is damaged or asks for what is not supported. */
export class ObjectError<F extends ObjectFault = ObjectFault> extends CodedError<F> {
  constructor(fault: F, message: string, options?: { cause?: unknown }) {
    super(
      fault,
      `${fault.section === '' ? 'object file' : fault.section}+${fault.offset}: ${message}`,
      options,
    );
  }
}
