// A js-libp2p peer, as its documentation sets one up: TCP, Noise, yamux, identify, ping.
//
//   node peer.mjs listen [FILE]                    serves ping, identify and FILE as one raw block
//   node peer.mjs dial ADDRESS [ROOT LENGTH PART]  pings, identifies, fetches a raw block (hex CID)
//
// One JSON line an event or result; a listener ends when its standard input does.
import { readFileSync } from 'node:fs'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { blockServer, fetchBlock, PROTOCOL, rawCid } from './blocks.mjs'

const [verb, ...given] = process.argv.slice(2)
const print = (line) => process.stdout.write(JSON.stringify(line) + '\n')

// Runs a case and prints how it went; the process fails with it.
async function check (name, run) {
  try {
    print({ case: name, ok: true, ...await run() })
  } catch (error) {
    print({ case: name, ok: false, why: String(error.message ?? error) })
    process.exitCode = 1
  }
}

const within = (promise, ms, what) => Promise.race([
  promise,
  new Promise((resolve, reject) => setTimeout(() => reject(new Error(`${what} took too long`)), ms).unref())
])

const node = await createLibp2p({
  addresses: { listen: verb === 'listen' ? ['/ip4/127.0.0.1/tcp/0'] : [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false },
  services: { identify: identify(), push: identifyPush(), ping: ping() }
})

const identified = new Promise((resolve) => {
  node.addEventListener('peer:identify', (event) => {
    const { agentVersion, protocols, listenAddrs, observedAddr } = event.detail
    const told = {
      agent: agentVersion,
      protocols,
      listen: listenAddrs.map(String),
      observed: String(observedAddr)
    }
    if (verb === 'listen') print({ event: 'identified', ...told })
    resolve(told)
  })
})

if (verb === 'listen') {
  if (given.length > 0) {
    const bytes = readFileSync(given[0])
    print({ event: 'serving', root: rawCid(bytes).toString('hex'), bytes: bytes.length })
    await node.handle(PROTOCOL, blockServer(bytes, (count) => print({ event: 'served', count })))
  }
  print({ event: 'listening', address: String(node.getMultiaddrs()[0]) })
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.on('end', resolve))
} else {
  let connection
  await check('dial', async () => {
    connection = await node.dial(multiaddr(given[0]))
    return { multiplexer: connection.multiplexer, encryption: connection.encryption }
  })
  if (connection !== undefined) {
    for (let i = 0; i < 3; i++) {
      await check('ping', async () => ({ ms: await within(node.services.ping.ping(connection.remotePeer), 5000, 'ping') }))
    }
    await check('identify', () => within(identified, 5000, 'identify'))
    if (given.length > 1) {
      const root = Buffer.from(given[1], 'hex')
      await check('block', async () => {
        const bytes = await within(
          fetchBlock(connection, root, root.subarray(2), Number(given[2]), Number(given[3])), 10000, 'block')
        return { bytes: bytes.length }
      })
      await check('unknown-block', async () => {
        const other = rawCid(Buffer.from('not shared'))
        const refused = await fetchBlock(connection, other, other.subarray(2), 1).then(() => 'served', (e) => e.message)
        if (refused !== 'status 1') throw new Error(refused)
        return {}
      })
    }
  }
}
await node.stop()
process.exit()
