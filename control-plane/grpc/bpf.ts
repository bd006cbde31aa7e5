import { type BpfInspector, CodedError, type SetCondition, VerifyError } from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import type { ApiContext } from './context.js';
import { timestampOf } from './convert-values.js';
import { ApiError } from './errors.js';
import type { BpfData__Output } from './generated/waggle/v1/BpfData.js';
import type { BpfMapEntry } from './generated/waggle/v1/BpfMapEntry.js';
import type { BpfProgram } from './generated/waggle/v1/BpfProgram.js';
import type { BpfServiceHandlers } from './generated/waggle/v1/BpfService.js';
import type { SetBpfMapEntryRequest__Output } from './generated/waggle/v1/SetBpfMapEntryRequest.js';
import { decodeToken, encodeToken } from './page.js';
import { type Surroundings, unary } from './unary.js';

const PREFIX = 'maps/';
const DEFAULT_ENTRIES = 100;
const MAX_ENTRIES = 1000;

const CONDITIONS: Readonly<Record<SetBpfMapEntryRequest__Output['condition'], SetCondition>> = {
  CONDITION_UNSPECIFIED: 'any',
  CONDITION_ABSENT: 'absent',
  CONDITION_PRESENT: 'present',
};

function mapName(resource: string): string {
  if (resource.startsWith(PREFIX) && resource.length > PREFIX.length) return resource.slice(PREFIX.length);
  throw fieldError('map', `"${resource}" is not of the form maps/{name}`);
}

/** Bytes of a key or value: as JSON where that is given, else as they are. */
function bytesOf(
  inspector: BpfInspector,
  map: string,
  field: 'key' | 'value',
  data: BpfData__Output | null,
): Uint8Array {
  if (data === null) throw fieldError(field, 'is missing');
  return data.json === '' ? Uint8Array.from(data.raw) : inspector.bytes(map, field, data.json);
}

/** What of a log fits the trailers of an answer. */
const LOG_CHARACTERS = 3000;

/** Why a program is not swapped. */
function programError(error: CodedError): ApiError {
  const log = error instanceof VerifyError ? error.fault.refused.log.slice(-LOG_CHARACTERS) : '';
  return new ApiError({ code: 'API_PROGRAM', reason: error.code, log }, error.message, { cause: error });
}

/** waggle.v1.BpfService. */
export function bpfHandlers({ datapath, log }: ApiContext, around: Surroundings): BpfServiceHandlers {
  const { inspector } = datapath;
  const data = (map: string, what: 'key' | 'value', bytes: Uint8Array) => ({
    raw: Buffer.from(bytes),
    json: inspector.json(map, what, bytes),
  });
  const entry = (map: string, key: Uint8Array, value: Uint8Array): BpfMapEntry => ({
    key: data(map, 'key', key),
    value: data(map, 'value', value),
  });

  const programs = (): BpfProgram[] =>
    inspector.programs().map((program) => ({
      name: `programs/${program.name}`,
      type: program.type,
      engine: program.engine,
      instructions: program.instructions,
      codeBytes: program.codeBytes,
      loadTime: timestampOf(program.loadedAtMs),
      loadUs: String(program.loadUs),
      runCount: String(program.runs),
      runTimeNs: String(program.runNs),
      maps: program.maps.map((name) => `${PREFIX}${name}`),
    }));

  return {
    ListBpfPrograms: unary(around, 'ListBpfPrograms', () => ({ programs: programs() })),

    SwapBpfProgram: unary(around, 'SwapBpfProgram', async ({ object, validateOnly }) => {
      if (object.length === 0) throw fieldError('object', 'is missing');
      try {
        await datapath.swapProgram(Uint8Array.from(object), validateOnly);
      } catch (error) {
        throw error instanceof CodedError ? programError(error) : error;
      }
      const [program] = programs();
      if (!validateOnly)
        log('info', 'another program runs', { program: program?.name ?? '', bytes: object.length });
      return program ?? {};
    }),

    ListBpfMaps: unary(around, 'ListBpfMaps', () => ({
      maps: inspector.maps().map((map) => ({
        ...map,
        name: `${PREFIX}${map.name}`,
        memoryBytes: String(map.memoryBytes),
      })),
    })),

    ListBpfMapEntries: unary(around, 'ListBpfMapEntries', ({ map, pageSize, pageToken }) => {
      const name = mapName(map);
      if (pageSize < 0) throw fieldError('page_size', `${pageSize} is negative`);
      const limit = Math.min(pageSize === 0 ? DEFAULT_ENTRIES : pageSize, MAX_ENTRIES);
      const scope = `maps/${map}/entries`;
      const before = pageToken === '' ? undefined : decodeToken(scope, pageToken);
      const after = before === undefined ? undefined : Uint8Array.from(Buffer.from(before, 'base64url'));
      const keys = inspector.keys(name, after, limit);
      const last = keys.at(-1);
      return {
        // What a worker deleted since its key was read is left out.
        entries: keys.flatMap((key) => {
          const value = inspector.find(name, key);
          return value === undefined ? [] : [entry(name, key, value)];
        }),
        nextPageToken:
          last !== undefined && keys.length === limit
            ? encodeToken(scope, Buffer.from(last).toString('base64url'))
            : '',
      };
    }),

    GetBpfMapEntry: unary(around, 'GetBpfMapEntry', ({ map, key }) => {
      const name = mapName(map);
      const bytes = bytesOf(inspector, name, 'key', key);
      return entry(name, bytes, inspector.get(name, bytes));
    }),

    SetBpfMapEntry: unary(around, 'SetBpfMapEntry', ({ map, key, value, condition }) => {
      const name = mapName(map);
      const keyBytes = bytesOf(inspector, name, 'key', key);
      inspector.set(name, keyBytes, bytesOf(inspector, name, 'value', value), CONDITIONS[condition]);
      log('warn', 'an entry of a map was written from outside', { map: name, key: hexOf(keyBytes) });
      return entry(name, keyBytes, inspector.get(name, keyBytes));
    }),

    DeleteBpfMapEntry: unary(around, 'DeleteBpfMapEntry', ({ map, key }) => {
      const name = mapName(map);
      const bytes = bytesOf(inspector, name, 'key', key);
      inspector.delete(name, bytes);
      log('warn', 'an entry of a map was removed from outside', { map: name, key: hexOf(bytes) });
      return {};
    }),
  };
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
