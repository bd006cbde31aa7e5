import { MAP_TYPES, type MapSpec, type MapTypeName } from '../../../lb/bpf/index.js';
import { usageError } from '../faults.js';

const isMapType = (name: string): name is MapTypeName => Object.hasOwn(MAP_TYPES, name);
const FORM = 'TYPE,KEY,VALUE,ENTRIES[,FLAGS[,INNER]]';

/**
 * A map as the command line names one: type, bytes of a key and of a value, entries, then flags and, for maps of maps,
 * the inner map with `:` in the place of `,`.
 * @throws CliError
 */
export function mapOfWords(text: string, name: string): MapSpec {
  const [type = '', key, value, entries, flags = '0', inner, ...rest] = text.split(',');
  const upper = type.trim().toUpperCase();
  if (!isMapType(upper)) throw usageError(`map "${text}": there is no type "${type}"`);
  if (rest.length > 0) throw usageError(`map "${text}" is not of the form ${FORM}`);
  const number = (word: string | undefined): number => {
    const found = word === undefined || word.trim() === '' ? Number.NaN : Number(word);
    if (!Number.isInteger(found) || found < 0 || found > 0xffffffff)
      throw usageError(`map "${text}" is not of the form ${FORM}`);
    return found;
  };
  return {
    name,
    type: upper,
    keySize: number(key),
    valueSize: number(value),
    maxEntries: number(entries),
    flags: number(flags),
    ...(inner !== undefined && { inner: mapOfWords(inner.replaceAll(':', ','), `${name}.inner`) }),
  };
}
