// The protocol /haul/blocks/1 from docs/WIRE.md ("Blocks over a stream"): asking for a block, and
// answering for a dataset that is one raw block.
import { createHash } from 'node:crypto'

export const PROTOCOL = '/haul/blocks/1'
const REQUEST = 80
const ANSWER = 16
const BLOCK_MAX = 1 << 20

export const multihashOf = (bytes) =>
  Buffer.concat([Buffer.from([0x12, 0x20]), createHash('sha256').update(bytes).digest()])

export const rawCid = (bytes) => Buffer.concat([Buffer.from([0x01, 0x55]), multihashOf(bytes)])

// Reads exactly so many bytes at a time from a stream; null when it ends between two reads.
function reader (stream) {
  const chunks = stream[Symbol.asyncIterator]()
  let rest = Buffer.alloc(0)
  return async (count) => {
    while (rest.length < count) {
      const { value, done } = await chunks.next()
      if (done) {
        if (rest.length > 0) throw new Error('the stream ended inside a message')
        return null
      }
      rest = Buffer.concat([rest, value.subarray()])
    }
    const taken = rest.subarray(0, count)
    rest = rest.subarray(count)
    return taken
  }
}

async function write (stream, bytes) {
  for (let at = 0; at < bytes.length; at += 65536) {
    if (!stream.send(bytes.subarray(at, at + 65536))) await stream.onDrain()
  }
}

// Fetches one block of the dataset `root`, in ranges of `part` bytes asked for all at once; checks it.
export async function fetchBlock (connection, root, block, total, part = BLOCK_MAX) {
  const stream = await connection.newStream(PROTOCOL)
  const read = reader(stream)
  const pieces = []
  for (let offset = 0; offset === 0 || offset < total; offset += part) {
    const request = Buffer.alloc(REQUEST)
    root.copy(request, 0)
    block.copy(request, 36)
    request.writeUInt32LE(offset, 72)
    request.writeUInt32LE(part, 76)
    await write(stream, request)
    pieces.push(offset)
  }
  await stream.close()
  for (const [index, offset] of pieces.entries()) {
    const answer = await read(ANSWER)
    if (answer === null) throw new Error('the stream ended before the answer')
    if (answer[0] !== 0) throw new Error(`status ${answer[0]}`)
    const whole = answer.readUInt32LE(4)
    const count = answer.readUInt32LE(12)
    if (answer.readUInt32LE(8) !== offset || count !== Math.min(part, whole - offset)) {
      throw new Error('the answer contradicts the request')
    }
    pieces[index] = count > 0 ? await read(count) : Buffer.alloc(0)
  }
  if (await read(1) !== null) throw new Error('more than was asked for')
  const bytes = Buffer.concat(pieces)
  if (!multihashOf(bytes).equals(block)) throw new Error('the bytes do not match the hash')
  return bytes
}

// Answers for one raw block until the asker closes its half.
export function blockServer (bytes) {
  const root = rawCid(bytes)
  return async (stream) => {
    const read = reader(stream)
    for (let request = await read(REQUEST); request !== null; request = await read(REQUEST)) {
      const known = request.subarray(0, 36).equals(root) &&
        request.subarray(36, 70).equals(root.subarray(2))
      const offset = Math.min(request.readUInt32LE(72), bytes.length)
      const length = request.readUInt32LE(76)
      const end = length === 0 ? bytes.length : Math.min(bytes.length, offset + length)
      const answer = Buffer.alloc(ANSWER)
      answer[0] = known ? 0 : 1
      if (known) {
        answer.writeUInt32LE(bytes.length, 4)
        answer.writeUInt32LE(offset, 8)
        answer.writeUInt32LE(end - offset, 12)
      }
      await write(stream, known ? Buffer.concat([answer, bytes.subarray(offset, end)]) : answer)
    }
    await stream.close()
  }
}
