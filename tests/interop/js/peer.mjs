// A js-libp2p peer, as its documentation sets one up, that takes commands on its standard input and
// prints one JSON line a result: see ../README.md.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { autoNAT } from '@libp2p/autonat'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { decode as decodeHash } from 'multiformats/hashes/digest'
import { blockServer, fetchBlock, PROTOCOL as BLOCKS, rawCid } from './blocks.mjs'
import { perfServer, perfStream, PROTOCOL as PERF } from './perf.mjs'

const PATIENCE = 60000
const MANY = { maxInboundStreams: 1024, maxOutboundStreams: 1024, runOnLimitedConnection: true }

const { values: option } = parseArgs({
  options: {
    security: { type: 'string', default: 'noise,tls' },
    listen: { type: 'string', default: '/ip4/127.0.0.1/tcp/0' },
    file: { type: 'string' },
    kad: { type: 'string' },
    relay: { type: 'string' },
    place: { type: 'string' },
    autonat: { type: 'string' }
  }
})
// What is moved may take longer, at 10 MB/s.
const patience = (verb, [, up, down, streams]) => verb === 'perf' ? (Number(up) + Number(down)) * Number(streams) / 1e4 : 0
const print = (line) => process.stdout.write(JSON.stringify(line) + '\n')
const seconds = (since) => (performance.now() - since) / 1000

const node = await createLibp2p({
  addresses: { listen: [option.listen, ...(option.place === undefined ? [] : [`${option.place}/p2p-circuit`])] },
  transports: [tcp(), circuitRelayTransport()],
  connectionEncrypters: option.security.split(',').map((name) => name === 'noise' ? noise() : tls()),
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  // Its ping starves behind a stream that keeps the connection full: see ../README.md.
  connectionMonitor: { abortConnectionOnPingFailure: false },
  services: {
    identify: identify(),
    push: identifyPush(),
    ping: ping(),
    ...(option.relay === undefined ? {} : { relay: circuitRelayServer() }),
    ...(option.autonat === undefined ? {} : { nat: option.autonat === '1' ? autoNAT() : autoNATv2() }),
    // A server that believes what loopback peers say.
    ...(option.kad === undefined
      ? {}
      : { dht: kadDHT({ protocol: `${option.kad}/kad/1.0.0`, clientMode: false, peerInfoMapper: passthroughMapper }) })
  }
})

// What every peer has told of itself, and those who wait for it.
const identified = new Map()
let waiting = []
node.addEventListener('peer:identify', ({ detail }) => {
  const { peerId, agentVersion, protocols, listenAddrs, observedAddr } = detail
  identified.set(peerId.toString(), {
    agent: agentVersion,
    protocols,
    listen: listenAddrs.map(String),
    observed: String(observedAddr)
  })
  waiting.forEach((resolve) => resolve())
  waiting = []
})

const connectionTo = (id) => {
  const [connection] = node.getConnections(id)
  if (connection === undefined) throw new Error('not connected')
  return connection
}

const contentOf = (hash) => CID.createV1(0x55, decodeHash(Buffer.from(hash, 'hex')))

async function perf (connection, up, down, streams) {
  const since = performance.now()
  await Promise.all(Array.from({ length: streams }, () => perfStream(connection, up, down)))
  return { seconds: seconds(since), bytes: (up + down) * streams }
}

const commands = {
  async dial (address) {
    const since = performance.now()
    const connection = await node.dial(multiaddr(address))
    return {
      peer: connection.remotePeer,
      security: connection.encryption,
      muxer: connection.multiplexer,
      seconds: seconds(since)
    }
  },
  async close (id) {
    await node.hangUp(peerIdFromString(id))
  },
  async ping (id, count) {
    const trips = []
    while (trips.length < Number(count)) trips.push(1000 * await node.services.ping.ping(peerIdFromString(id)))
    return { round_trips_us: trips }
  },
  async identify (id) {
    while (!identified.has(id)) await new Promise((resolve) => waiting.push(resolve))
    return identified.get(id)
  },
  async knows (id, protocol) {
    while (!(await node.peerStore.get(peerIdFromString(id))).protocols.includes(protocol)) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  },
  async push () {
    await node.handle('/interop/pushed/1', (stream) => stream.abort(new Error('nothing is here')))
  },
  async block (id, root, total, part) {
    const cid = Buffer.from(root, 'hex')
    const bytes = await fetchBlock(connectionTo(peerIdFromString(id)), cid, cid.subarray(2), Number(total), Number(part))
    return { bytes: bytes.length }
  },
  perf: (id, up, down, streams) =>
    perf(connectionTo(peerIdFromString(id)), Number(up), Number(down), Number(streams)),
  async provide (hash) {
    await node.contentRouting.provide(contentOf(hash))
  },
  async providers (hash) {
    const found = new Set()
    for await (const { id } of node.contentRouting.findProviders(contentOf(hash))) found.add(id.toString())
    return { providers: [...found] }
  },
  // What one peer that serves has found about an address of ours: asked as soon as it is met. A
  // verdict takes several peers here, so their answers are looked at.
  async reach (id, version, address) {
    const asking = version === '1' ? node.services.nat : node.services.nat.client
    while (true) {
      const known = node.components.addressManager.getAddressesWithMetadata()
        .find(({ multiaddr }) => multiaddr.toString() === address)
      if (known?.verified === true) return { reachability: 'public' }
      if (asking.dialResults.get(address)?.failure > 0) return { reachability: 'private' }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  },
  async first (address) {
    const since = performance.now()
    const connection = await node.dial(multiaddr(address))
    await perfStream(connection, 1, 1)
    const taken = seconds(since)
    await connection.close()
    return { seconds: taken }
  }
}

// Runs a command and prints how it went.
async function obey ([verb, ...words]) {
  let timer
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), PATIENCE + patience(verb, words))
  })
  try {
    if (!Object.hasOwn(commands, verb)) throw new Error('no such command')
    print({ ...await Promise.race([commands[verb](...words), late]), case: verb, ok: true })
  } catch (error) {
    print({ case: verb, ok: false, why: String(error.message ?? error) })
  }
  clearTimeout(timer)
}

await node.handle(PERF, perfServer, MANY)
if (option.file !== undefined) {
  const bytes = readFileSync(option.file)
  await node.handle(BLOCKS, blockServer(bytes), MANY)
  print({ event: 'serving', root: rawCid(bytes).toString('hex'), bytes: bytes.length })
}
// A public address is told to nobody before it has been verified; the sockets' own are known.
const direct = () => node.components.transportManager.getAddrs()
  .filter((address) => !String(address).includes('/p2p-circuit'))
const placed = () => node.getMultiaddrs().some((address) => String(address).includes('/p2p-circuit'))
while (direct().length === 0 || (option.place !== undefined && !placed())) {
  await new Promise((resolve) => setTimeout(resolve, 20))
}
print({ event: 'listening', address: `${direct()[0]}/p2p/${node.peerId}` })
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() !== '') await obey(line.trim().split(/\s+/))
}
await node.stop()
process.exit()
