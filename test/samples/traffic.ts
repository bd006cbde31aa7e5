import {
  BALANCER_MAC,
  CLIENT_MAC,
  concat,
  type Endpoints,
  ETHERTYPE,
  ethernet,
  frameOf,
  fromHex,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
  udp,
  udpFrame,
} from '../support/packets.js';

const IPV4: Endpoints = { src: '10.0.0.1', dst: '10.200.1.1', sport: 31337, dport: 80 };
const DNS: Endpoints = { src: '10.0.0.2', dst: '10.200.1.1', sport: 4242, dport: 53 };
const IPV6: Endpoints = { src: 'fc00::1', dst: 'fc00:1::1', sport: 31337, dport: 443 };
const DATA = new TextEncoder().encode('waggle! ');

/** A VLAN tag (IEEE 802.1Q) between the addresses and the type. */
function tagged(frame: Uint8Array, type: string, tci: string): Uint8Array {
  return concat(frame.subarray(0, 12), fromHex(type), fromHex(tci), frame.subarray(12));
}

/** Hop-by-hop options of 8 bytes and a routing header of 16 (RFC 8200 §4.3, §4.4) in front of UDP. */
function extended(): Uint8Array {
  const headers = concat(
    Uint8Array.of(43, 0, 1, 4, 0, 0, 0, 0),
    Uint8Array.of(PROTOCOL.udp, 1, 4, 0),
    new Uint8Array(12),
  );
  return frameOf(ipv6({ src: IPV6.src, dst: IPV6.dst, nextHeader: 0 }, concat(headers, udp(IPV6))));
}

const ECHO = concat(fromHex('0800f7b112340001'), new Uint8Array(24));
/** A question for the A record of www.example.org (RFC 1035 §4.1). */
const QUESTION = fromHex('1234010000010000000000000377777707657861' + '6d706c65036f72670000010001');
const ARP_REQUEST = fromHex('0001080006040001060504030201' + '0a000001' + '000000000000' + '0ac80101');

/** What every sample gets, in this order: some of it twice, so that what is kept between packets counts. */
const TRAFFIC: Readonly<Record<string, Uint8Array>> = {
  'TCP SYN': tcpFrame(IPV4, { flags: TCP_FLAGS.syn }),
  'TCP ACK': tcpFrame(IPV4, { data: DATA }),
  UDP: udpFrame({ ...IPV4, sport: 9 }, { data: concat(DATA, DATA, DATA) }),
  DNS: udpFrame(DNS, { data: QUESTION }),
  'UDP again': udpFrame({ ...IPV4, sport: 9 }, { data: concat(DATA, DATA, DATA) }),
  ping: ipFrame(IPV4, PROTOCOL.icmp, 0, ECHO),
  'IPv4 options': frameOf(
    ipv4({ ...IPV4, protocol: PROTOCOL.udp, options: new Uint8Array(8).fill(1) }, udp(IPV4)),
  ),
  'IPv4 fragment': frameOf(ipv4({ ...IPV4, protocol: PROTOCOL.udp, fragment: 0x20b9 }, udp(IPV4))),
  'last hop': frameOf(ipv4({ ...IPV4, protocol: PROTOCOL.tcp, ttl: 1 }, tcp(IPV4, TCP_FLAGS.ack))),
  'TCP FIN': tcpFrame(IPV4, { flags: TCP_FLAGS.fin | TCP_FLAGS.ack }),
  'TCP RST': tcpFrame(IPV4, { flags: TCP_FLAGS.rst }),
  'TCP over IPv6': tcpFrame(IPV6, { flags: TCP_FLAGS.syn }),
  'UDP over IPv6': udpFrame(IPV6),
  'IPv6 extension headers': extended(),
  ARP: ethernet(BALANCER_MAC, CLIENT_MAC, ETHERTYPE.arp, ARP_REQUEST),
  'a VLAN': tagged(tcpFrame(IPV4), '8100', '0064'),
  'two VLANs': tagged(tagged(udpFrame(IPV4), '8100', '0007'), '88a8', '0064'),
  'IP in IP': ipFrame(IPV4, PROTOCOL.ipip, 0, ipv4({ ...IPV4, protocol: PROTOCOL.udp }, udp(IPV4))),
  'cut short': tcpFrame(IPV4).subarray(0, 30),
  'long, of another protocol': ethernet(BALANCER_MAC, CLIENT_MAC, 0x88b5, new Uint8Array(1200).fill(0x5a)),
};

/** What programs of a type get: the kernel's test run makes no socket buffer of less than an IP header. */
export function trafficOf(type: string): Readonly<Record<string, Uint8Array>> {
  if (type === 'xdp') return TRAFFIC;
  return Object.fromEntries(Object.entries(TRAFFIC).filter(([name]) => name !== 'cut short'));
}
