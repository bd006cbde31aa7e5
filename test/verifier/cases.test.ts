import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ATTACH_TYPES } from '../../lb/bpf/object/spec.js';
import { verifyCode } from '../../lb/bpf/verifier/verify-code.js';
import { missingRoot } from '../support/capabilities.js';
import { askKernelAbout } from '../support/kernel-verdict.js';
import { withoutPerfmon } from '../support/privileges.js';
import { type Case, optionsOf, readCases } from './cases.js';

const FOLDER = new URL('cases/', import.meta.url);

/** The kernel's message, undefined where it accepts. */
function kernelMessage(given: Case): string | undefined {
  const { code, type, maps, flags, license, btf, functions, attach, unprivileged } = given;
  const question = {
    code,
    type,
    maps,
    flags,
    license,
    ...(attach !== undefined && { attachType: ATTACH_TYPES[attach] }),
    ...(btf !== undefined && { btf, program: { functions, lines: [] } }),
  };
  const ask = () => askKernelAbout(question);
  const { accepted, message } = unprivileged ? withoutPerfmon(ask) : ask();
  return accepted ? undefined : message;
}

function ourMessage(given: Case): string | undefined {
  const result = verifyCode(given.code, optionsOf(given));
  return result.accepted ? undefined : result.message;
}

/** Put the kernel's verdicts into the text of a file, case by case. */
function update(text: string, cases: readonly Case[]): string {
  const verdicts = cases.map((each) => kernelMessage(each));
  let index = 0;
  return text.replace(/^(?:accept|refuse\b.*)$/gm, () => {
    const message = verdicts[index++];
    return message === undefined ? 'accept' : `refuse ${message}`;
  });
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
  const path = new URL(file, FOLDER);
  let cases = readCases(readFileSync(path, 'utf8'));
  if (process.env.UPDATE === '1' && missingRoot === undefined) {
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, update(text, cases));
    cases = readCases(readFileSync(path, 'utf8'));
  }
  describe(`verifier cases: ${file.replace('.txt', '')}`, () => {
    it('has cases of both kinds, each under a name of its own', () => {
      expect(cases.some(({ message }) => message === undefined)).toBe(true);
      expect(cases.some(({ message }) => message !== undefined)).toBe(true);
      expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    });

    it.each(cases)('$name', (given) => {
      expect(ourMessage(given)).toBe(given.message);
    });

    it.skipIf(missingRoot !== undefined)(
      `the kernel says the same${missingRoot === undefined ? '' : ` (${missingRoot})`}`,
      () => {
        const wrong = cases.flatMap((each) => {
          const message = kernelMessage(each);
          return message === each.message ? [] : [{ name: each.name, kernel: message, file: each.message }];
        });
        expect(wrong).toEqual([]);
      },
    );
  });
}
