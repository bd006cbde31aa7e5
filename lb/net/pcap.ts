/** Captures, read and written: classic pcap and pcapng. */
export {
  type CapturedFrame,
  type CaptureWriter,
  type FrameToWrite,
  LINKTYPE_ETHERNET,
  PcapError,
  type PcapFault,
} from './pcap-format.js';
export { CaptureParser, readCapture } from './pcap-reader.js';
export { PcapngWriter, PcapWriter, writePcap, writePcapng } from './pcap-writer.js';
