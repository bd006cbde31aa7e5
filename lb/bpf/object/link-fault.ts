import type { ElfSection } from './elf.js';
import { ObjectError, type ObjectFault } from './fault.js';

export interface LinkFault extends ObjectFault {
  readonly code:
    | 'LINK_FUNCTION'
    | 'LINK_INSTRUCTION'
    | 'LINK_RELOCATION'
    | 'LINK_SYMBOL'
    | 'LINK_EXTERN'
    | 'LINK_KFUNC'
    | 'LINK_CALL'
    | 'LINK_JUMP'
    | 'LINK_SIZE'
    | 'LINK_BTF'
    | 'LINK_PROGRAM';
  readonly stage: 'link';
}
/** A program cannot be linked: a symbol, a call or a relocation does not fit. */
export class LinkError extends ObjectError<LinkFault> {}

export function linkFail(
  code: LinkFault['code'],
  section: Pick<ElfSection, 'name'>,
  offset: number,
  message: string,
): never {
  throw new LinkError({ code, stage: 'link', section: section.name, offset }, message);
}
