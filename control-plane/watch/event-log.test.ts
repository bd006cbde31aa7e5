import { describe, expect, it } from 'vitest';
import { EventLog, type EventSelection, type NewEvent } from './event-log.js';

const dropped: NewEvent = { type: 'packet.dropped', resource: 'vips/web', message: 'a packet was dropped' };
const changed: NewEvent = {
  type: 'config.changed',
  also: ['vips/web', 'pools/web'],
  message: 'revision 4',
  actor: 'ann',
};
const healthy: NewEvent = {
  type: 'backend.health_changed',
  resource: 'pools/web/backends/a',
  message: 'healthy',
  attributes: { from: 'unknown', to: 'healthy' },
};

function logOf(events: readonly NewEvent[], capacity = 100): EventLog {
  let now = 1000;
  const log = new EventLog({ nowMs: () => now++, capacity });
  for (const event of events) log.emit(event);
  return log;
}

describe('an event', () => {
  it('has a sequence from 1, a time, and empty texts for what was not said', () => {
    const log = logOf([dropped]);
    expect(log.emit(changed)).toEqual({
      sequence: 2,
      timeMs: 1001,
      type: 'config.changed',
      resource: '',
      also: ['vips/web', 'pools/web'],
      message: 'revision 4',
      actor: 'ann',
      attributes: {},
    });
    expect(log.last).toBe(2);
  });
});

describe('selection', () => {
  const rows: readonly { rule: string; selection: EventSelection; sequences: readonly number[] }[] = [
    { rule: 'nothing asked: all', selection: {}, sequences: [1, 2, 3] },
    { rule: 'a type', selection: { types: ['config.changed'] }, sequences: [2] },
    { rule: 'the beginning of types', selection: { types: ['backend.'] }, sequences: [3] },
    { rule: 'a beginning ends with a dot', selection: { types: ['backend', 'config'] }, sequences: [] },
    { rule: 'several types', selection: { types: ['backend.', 'packet.dropped'] }, sequences: [1, 3] },
    { rule: 'a resource, also among several', selection: { resources: ['vips/web'] }, sequences: [1, 2] },
    { rule: 'a resource is a whole name', selection: { resources: ['pools/web/backends'] }, sequences: [] },
    {
      rule: 'types and resources both hold',
      selection: { types: ['packet.'], resources: ['vips/web'] },
      sequences: [1],
    },
  ];
  it.each(rows)('$rule', ({ selection, sequences }) => {
    const log = logOf([dropped, changed, healthy]);
    expect(log.after(0, selection).events.map(({ sequence }) => sequence)).toEqual(sequences);
    const heard: number[] = [];
    log.subscribe({ ...selection, afterSequence: 0 }, ({ sequence }) => heard.push(sequence));
    expect(heard).toEqual(sequences);
  });
});

describe('reading after a sequence', () => {
  const five = () =>
    logOf(
      Array.from({ length: 5 }, () => dropped),
      3,
    );
  const rows = [
    { rule: 'what is forgotten is counted', from: 0, max: 10, sequences: [3, 4, 5], end: 5, missed: 2 },
    {
      rule: 'of what is remembered nothing is missed',
      from: 2,
      max: 10,
      sequences: [3, 4, 5],
      end: 5,
      missed: 0,
    },
    { rule: 'a page ends at its maximum', from: 2, max: 2, sequences: [3, 4], end: 4, missed: 0 },
    { rule: 'at the end there is nothing', from: 5, max: 10, sequences: [], end: 5, missed: 0 },
    { rule: 'nor behind it', from: 9, max: 10, sequences: [], end: 9, missed: 0 },
  ];
  it.each(rows)('$rule', ({ from, max, sequences, end, missed }) => {
    const page = five().after(from, {}, max);
    expect(page.events.map(({ sequence }) => sequence)).toEqual(sequences);
    expect(page).toMatchObject({ sequence: end, missed });
  });

  it('a page without a selected event still moves on', () => {
    expect(logOf([dropped, dropped]).after(0, { types: ['config.'] })).toEqual({
      events: [],
      sequence: 2,
      missed: 0,
    });
  });
});

it('a subscription ends when it is taken back', () => {
  const log = logOf([dropped]);
  const heard: number[] = [];
  const end = log.subscribe({ types: ['packet.'] }, ({ sequence }) => heard.push(sequence));
  log.emit(changed);
  log.emit(dropped);
  end();
  log.emit(dropped);
  expect(heard).toEqual([3]);
});
