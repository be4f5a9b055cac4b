//! The commands.
use crate::{Failure, blocks, node::Node, perf, print};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{PeerId, StreamProtocol};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const PUSHED: StreamProtocol = StreamProtocol::new("/interop/pushed/1");
const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

/// Runs one command and prints how it went.
pub async fn obey(node: &Node, words: &[&str]) {
    let ended = match tokio::time::timeout(PATIENCE, command(node, words)).await {
        Ok(ended) => ended,
        Err(_) => Err("took too long".into()),
    };
    let mut line = ended.unwrap_or_else(|error| json!({"why": error.to_string()}));
    line["ok"] = json!(line.get("why").is_none());
    line["case"] = json!(words[0]);
    print(line);
}

async fn command(node: &Node, words: &[&str]) -> Result<Value, Failure> {
    match *words {
        ["dial", address] => {
            let began = Instant::now();
            let peer = node.dial(address.parse()?).await?;
            Ok(json!({"peer": peer.to_string(), "seconds": began.elapsed().as_secs_f64()}))
        }
        ["close", id] => {
            node.close(id.parse()?).await?;
            Ok(json!({}))
        }
        ["ping", id, count] => ping(node, id.parse()?, count.parse()?).await,
        ["identify", id] => {
            let info = node.told(id.parse()?, None).await?;
            let protocols: Vec<_> = info.protocols.iter().map(|name| name.to_string()).collect();
            Ok(json!({"agent": info.agent_version, "protocols": protocols,
                      "observed": info.observed_addr.to_string()}))
        }
        ["knows", id, protocol] => {
            node.told(id.parse()?, Some(protocol.into())).await?;
            Ok(json!({}))
        }
        ["direct", id] => {
            node.direct(id.parse()?).await?;
            Ok(json!({}))
        }
        ["reach", ..] => Ok(json!({"reachability": node.reach().await?})),
        ["push", id] => {
            let incoming = node.control.clone().accept(PUSHED)?;
            std::mem::forget(incoming); // spoken until the end; nothing answers
            node.push(id.parse()?).await?;
            Ok(json!({}))
        }
        ["block", id, root, total, part] => {
            blocks::fetch(node, id.parse()?, root, total.parse()?, part.parse()?).await
        }
        ["perf", id, up, down, streams] => {
            perf::run(node, id.parse()?, up.parse()?, down.parse()?, streams.parse()?).await
        }
        ["provide", key] => {
            node.provide(blocks::unhex(key)?).await?;
            Ok(json!({}))
        }
        ["providers", key] => {
            let found = node.providers(blocks::unhex(key)?).await?;
            let found: Vec<_> = found.iter().map(|peer| peer.to_string()).collect();
            Ok(json!({"providers": found}))
        }
        ["put", key, value] => {
            node.put(blocks::unhex(key)?, blocks::unhex(value)?).await?;
            Ok(json!({}))
        }
        ["value", key] => {
            let value = node.value(blocks::unhex(key)?).await?;
            let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(json!({"value": text}))
        }
        ["first", address] => {
            let began = Instant::now();
            let peer = node.dial(address.parse()?).await?;
            perf::one(node.control.clone(), peer, 1, 1).await?;
            let seconds = began.elapsed().as_secs_f64();
            node.close(peer).await?;
            Ok(json!({"seconds": seconds}))
        }
        _ => Err("no such command".into()),
    }
}

/// Pings on a stream of its own: the behaviour pings when it likes, not when it is asked to.
async fn ping(node: &Node, peer: PeerId, count: usize) -> Result<Value, Failure> {
    let mut stream = node.control.clone().open_stream(peer, PING).await?;
    let mut trips = vec![];
    for turn in 0..count {
        let sent = [turn as u8 + 1; 32];
        let mut received = [0; 32];
        let began = Instant::now();
        stream.write_all(&sent).await?;
        stream.flush().await?;
        stream.read_exact(&mut received).await?;
        if received != sent {
            return Err("no right answer".into());
        }
        trips.push(began.elapsed().as_micros() as u64);
    }
    stream.close().await?;
    Ok(json!({"round_trips_us": trips}))
}
