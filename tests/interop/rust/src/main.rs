//! A rust-libp2p peer, as its documentation sets one up, that takes commands on its standard input
//! and prints one JSON line a result: see ../README.md.
mod blocks;
mod commands;
mod node;
mod perf;
mod serving;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What the command line says.
pub struct Options {
    pub security: String,
    pub listen: String,
    pub window: String,
    pub file: Option<String>,
    pub kad: Option<String>,
    pub relay: bool,
    pub dcutr: bool,
    pub place: Option<String>,
    pub autonat: Option<String>,
}

pub fn print(line: Value) {
    println!("{line}");
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        security: "noise,tls".into(),
        listen: "/ip4/127.0.0.1/tcp/0".into(),
        window: "default".into(),
        file: None,
        kad: None,
        relay: false,
        dcutr: false,
        place: None,
        autonat: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} wants a value"))?;
        match word.as_str() {
            "--security" => options.security = value,
            "--listen" => options.listen = value,
            "--window" => options.window = value,
            "--kad" => options.kad = Some(value),
            "--relay" => options.relay = value == "on",
            "--dcutr" => options.dcutr = value == "on",
            "--place" => options.place = Some(value),
            "--autonat" => options.autonat = Some(value),
            "--file" => options.file = Some(value),
            _ => return Err(format!("no option {word}").into()),
        }
    }
    Ok(options)
}

async fn run() -> Result<(), Failure> {
    let options = options()?;
    let mut block = None;
    if let Some(path) = &options.file {
        let bytes = std::fs::read(path)?;
        let root = blocks::hex(&blocks::raw_cid(&bytes));
        print(json!({"event": "serving", "root": root, "bytes": bytes.len()}));
        block = Some(bytes);
    }
    let node = node::start(&options, block)?;
    let address = node.listening().await?;
    if let Some(place) = &options.place {
        node.place(place.parse()?).await?;
    }
    print(json!({"event": "listening", "address": address}));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !words.is_empty() {
            commands::obey(&node, &words).await;
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() {
    if let Err(error) = run().await {
        print(json!({"case": "start", "ok": false, "why": error.to_string()}));
        std::process::exit(1);
    }
    std::process::exit(0); // nothing that still runs is waited for
}
