import { objectBytes } from './balancer/object.js';
import { optionOf, withOptions } from './balancer/options.js';
import { loadObject } from './bpf/object/load.js';
import type { ObjectSpec } from './bpf/object/spec.js';

/**
 * The program in front of AF_XDP sockets, fit for a balancer: its options, and maps as large as the balancer's of the
 * same name.
 * @param other what it takes has to be fit for this one as well: of the options, those that both have on
 */
export function steerObject(balancer: ObjectSpec, other: ObjectSpec = balancer): ObjectSpec {
  const isOn = (option: 'prefixVips' | 'vlanTags' | 'ipipDecap' | 'gueDecap') =>
    optionOf(balancer, option) === 1 && optionOf(other, option) === 1;
  const guePort = optionOf(balancer, 'guePort') ?? 0;
  const object = withOptions(loadObject(objectBytes('steer')), {
    prefixVips: isOn('prefixVips'),
    vlanTags: isOn('vlanTags'),
    ipipDecap: isOn('ipipDecap'),
    gueDecap: isOn('gueDecap') && optionOf(other, 'guePort') === guePort,
    guePort,
  });
  const sizes = new Map(balancer.maps.map(({ name, maxEntries }) => [name, maxEntries]));
  const maps = object.maps.map((map) => ({ ...map, maxEntries: sizes.get(map.name) ?? map.maxEntries }));
  return { ...object, maps };
}
