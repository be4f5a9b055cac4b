//! The protocol /perf/1.0.0: 8 bytes big-endian (how much the server is to send), what the client
//! sends, its close; then what the server sends, and its close.
use crate::{Failure, node::Node, serving::Serving};
use futures::{AsyncReadExt, AsyncWriteExt, future::try_join_all};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::Control;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/perf/1.0.0");
/// 64 KiB a write, as the perf programs of the field do.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

async fn send(stream: &mut Stream, mut count: u64) -> Result<(), Failure> {
    while count > 0 {
        let some = count.min(ZEROS.len() as u64) as usize;
        stream.write_all(&ZEROS[..some]).await?;
        count -= some as u64;
    }
    Ok(stream.close().await?)
}

async fn drain(stream: &mut Stream) -> Result<u64, Failure> {
    let mut scrap = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let count = stream.read(&mut scrap).await?;
        if count == 0 {
            return Ok(total);
        }
        total += count as u64;
    }
}

async fn answer(mut stream: Stream) -> Result<(), Failure> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    drain(&mut stream).await?;
    send(&mut stream, u64::from_be_bytes(header)).await
}

pub fn serving() -> Serving {
    let answer = Arc::new(|stream| drop(tokio::spawn(answer(stream))));
    Serving { protocol: PROTOCOL, answer }
}

/// Sends `up` bytes and then takes `down` bytes on a stream of its own.
async fn exchange(mut stream: Stream, up: u64, down: u64) -> Result<(), Failure> {
    stream.write_all(&down.to_be_bytes()).await?;
    send(&mut stream, up).await?;
    let got = drain(&mut stream).await?;
    if got != down {
        return Err(format!("{got} bytes came back, not {down}").into());
    }
    Ok(())
}

pub async fn one(mut control: Control, peer: PeerId, up: u64, down: u64) -> Result<(), Failure> {
    let stream = control.open_stream(peer, PROTOCOL).await?;
    exchange(stream, up, down).await
}

/// So many streams at once. libp2p-stream opens them one after the other, a round trip each: where
/// they are many, the time begins when all are open.
pub async fn run(node: &Node, peer: PeerId, up: u64, down: u64, streams: u64) -> Result<Value, Failure> {
    let mut began = Instant::now();
    let mut control = node.control.clone();
    if streams == 1 {
        one(control, peer, up, down).await?;
    } else {
        let mut open = Vec::new();
        for _ in 0..streams {
            open.push(control.open_stream(peer, PROTOCOL).await?);
        }
        began = Instant::now();
        let each = open.into_iter().map(|stream| {
            let work = tokio::spawn(exchange(stream, up, down));
            async move { work.await.map_err(Failure::from).and_then(|ended| ended) }
        });
        try_join_all(each).await?;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({"seconds": seconds, "bytes": (up + down) * streams}))
}
