//! The protocol /haul/blocks/1 from docs/WIRE.md ("Blocks over a stream"): asking for a block, and
//! answering for a dataset that is one raw block.
use crate::{Failure, node::Node, serving::Serving};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/haul/blocks/1");
const REQUEST_BYTES: usize = 80;
const ANSWER_BYTES: usize = 16;

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let pairs = (0..text.len() / 2).map(|at| text.get(2 * at..2 * at + 2).unwrap_or(""));
    pairs.map(|pair| Ok(u8::from_str_radix(pair, 16)?)).collect()
}

/// The raw CIDv1 of a block; its multihash begins at byte 2.
pub fn raw_cid(bytes: &[u8]) -> Vec<u8> {
    [&[0x01, 0x55, 0x12, 0x20], Sha256::digest(bytes).as_slice()].concat()
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Asks for all ranges of a block at once, and checks it.
pub async fn fetch(
    node: &Node,
    peer: PeerId,
    root: &str,
    total: usize,
    part: usize,
) -> Result<Value, Failure> {
    let root = unhex(root)?;
    if root.len() != 36 || part == 0 {
        return Err("not the CID of a raw block".into());
    }
    let mut stream = node.control.clone().open_stream(peer, PROTOCOL).await?;
    let offsets: Vec<usize> = (0..total.max(1)).step_by(part).collect();
    for offset in &offsets {
        let place = [(*offset as u32).to_le_bytes(), (part as u32).to_le_bytes()].concat();
        stream.write_all(&[&root[..], &root[2..], &[0, 0], &place].concat()).await?;
    }
    stream.close().await?;
    let mut block = vec![];
    for offset in offsets {
        let mut answer = [0; ANSWER_BYTES];
        stream.read_exact(&mut answer).await?;
        if answer[0] != 0 {
            return Err(format!("status {}", answer[0]).into());
        }
        let (whole, from, count) = (number(&answer, 4), number(&answer, 8), number(&answer, 12));
        if from != offset || from > whole || count != part.min(whole - from) {
            return Err("the answer contradicts the request".into());
        }
        block.resize(offset + count, 0);
        stream.read_exact(&mut block[offset..]).await?;
    }
    if stream.read(&mut [0]).await? != 0 {
        return Err("more than was asked for".into());
    }
    if raw_cid(&block)[2..] != root[2..] {
        return Err("the bytes do not match the hash".into());
    }
    Ok(json!({"bytes": block.len()}))
}

/// Answers for one raw block until the asker closes its half.
async fn answer(mut stream: Stream, block: Arc<Vec<u8>>) -> Result<(), Failure> {
    let root = raw_cid(&block);
    let mut request = [0; REQUEST_BYTES];
    loop {
        let got = stream.read(&mut request).await?;
        if got == 0 {
            return Ok(stream.close().await?);
        }
        stream.read_exact(&mut request[got..]).await?;
        let mut answer = vec![0; ANSWER_BYTES];
        if request[..36] == root[..] && request[36..70] == root[2..] {
            let from = number(&request, 72).min(block.len());
            let wanted = number(&request, 76);
            let rest = block.len() - from;
            let count = if wanted == 0 { rest } else { wanted.min(rest) };
            for (at, value) in [(4, block.len()), (8, from), (12, count)] {
                answer[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
            }
            answer.extend_from_slice(&block[from..from + count]);
        } else {
            answer[0] = 1;
        }
        stream.write_all(&answer).await?;
        stream.flush().await?;
    }
}

pub fn serving(block: Vec<u8>) -> Serving {
    let block = Arc::new(block);
    let answer = Arc::new(move |stream| drop(tokio::spawn(answer(stream, block.clone()))));
    Serving { protocol: PROTOCOL, answer }
}
