// The protocol /perf/1.0.0: 8 bytes big-endian (how much the server is to send), what the client
// sends, its close; then what the server sends, and its close.
export const PROTOCOL = '/perf/1.0.0'
const ZEROS = new Uint8Array(1 << 16)

// Not stream.onDrain(): its promise stays fulfilled after the first time, and then everything is
// written at once into a buffer that becomes slow.
const drained = (stream) => new Promise((resolve, reject) => {
  const drain = () => {
    stream.removeEventListener('close', close)
    resolve()
  }
  const close = () => {
    stream.removeEventListener('drain', drain)
    reject(new Error('the stream has ended'))
  }
  stream.addEventListener('drain', drain, { once: true })
  stream.addEventListener('close', close, { once: true })
})

async function send (stream, count) {
  for (let left = count; left > 0; left -= ZEROS.length) {
    if (!stream.send(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)) await drained(stream)
  }
  await stream.close()
}

export async function perfServer (stream) {
  let header = Buffer.alloc(0)
  for await (const chunk of stream) {
    if (header.length < 8) header = Buffer.concat([header, chunk.subarray()])
    // An end that came before this loop began is not told by it.
    if (stream.remoteWriteStatus === 'closed' && stream.readBufferLength === 0) break
  }
  if (header.length < 8) return stream.abort(new Error('no request'))
  await send(stream, Number(header.readBigUInt64BE()))
}

// Sends `up` bytes and then takes `down` bytes on a stream of its own.
export async function perfStream (connection, up, down) {
  const stream = await connection.newStream(PROTOCOL, { maxOutboundStreams: 1024 })
  const header = Buffer.alloc(8)
  header.writeBigUInt64BE(BigInt(down))
  if (!stream.send(header)) await stream.onDrain()
  await send(stream, up)
  let got = 0
  for await (const chunk of stream) got += chunk.byteLength
  if (got !== down) throw new Error(`${got} bytes came back, not ${down}`)
}
