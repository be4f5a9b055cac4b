//! The swarm, in a task of its own, and what commands ask of it.
use crate::serving::Serving;
use crate::{Failure, Options, blocks, perf};
use futures::StreamExt;
use libp2p::kad::{self, store::MemoryStore};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{NetworkBehaviour, Swarm, SwarmEvent, dial_opts::DialOpts};
use libp2p::{Multiaddr, PeerId, StreamProtocol, SwarmBuilder};
use libp2p::{autonat, dcutr, identify, identity::Keypair, noise, ping, relay, tcp, tls, yamux};
use libp2p_stream as stream;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    stream: stream::Behaviour,
    perf: Serving,
    blocks: Toggle<Serving>,
    kad: Toggle<kad::Behaviour<MemoryStore>>,
    relay: Toggle<relay::Behaviour>,
    through: relay::client::Behaviour,
    dcutr: Toggle<dcutr::Behaviour>,
    nat: Toggle<autonat::v1::Behaviour>,
    nat_asks: Toggle<autonat::v2::client::Behaviour>,
    nat_answers: Toggle<autonat::v2::server::Behaviour>,
}

type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// What is asked of the swarm's task.
enum Order {
    Listening(Answer<Multiaddr>),
    Dial(Multiaddr, Answer<PeerId>),
    Close(PeerId, Answer<()>),
    /// Waits until the peer has told of itself, and speaks the protocol when one is named.
    Told(PeerId, Option<String>, Answer<identify::Info>),
    Push(PeerId, Answer<()>),
    Provide(Vec<u8>, Answer<()>),
    Providers(Vec<u8>, Answer<HashSet<PeerId>>),
    Put(Vec<u8>, Vec<u8>, Answer<()>),
    Value(Vec<u8>, Answer<Vec<u8>>),
    /// Keeps a place at this relay.
    Place(Multiaddr, Answer<()>),
    /// Waits for a connection that no relay carries.
    Direct(PeerId, Answer<()>),
    /// Waits until a server of AutoNAT has judged.
    Reach(Answer<&'static str>),
}

pub struct Node {
    orders: mpsc::Sender<Order>,
    pub control: stream::Control,
}

impl Node {
    async fn ask<T>(&self, make: impl FnOnce(Answer<T>) -> Order) -> Result<T, Failure> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(make(answer)).await?;
        answered.await?
    }
    pub async fn listening(&self) -> Result<Multiaddr, Failure> {
        self.ask(Order::Listening).await
    }
    pub async fn dial(&self, address: Multiaddr) -> Result<PeerId, Failure> {
        self.ask(|answer| Order::Dial(address, answer)).await
    }
    pub async fn close(&self, peer: PeerId) -> Result<(), Failure> {
        self.ask(|answer| Order::Close(peer, answer)).await
    }
    pub async fn told(&self, peer: PeerId, protocol: Option<String>) -> Result<identify::Info, Failure> {
        self.ask(|answer| Order::Told(peer, protocol, answer)).await
    }
    pub async fn place(&self, relay: Multiaddr) -> Result<(), Failure> {
        self.ask(|answer| Order::Place(relay, answer)).await
    }
    pub async fn direct(&self, peer: PeerId) -> Result<(), Failure> {
        self.ask(|answer| Order::Direct(peer, answer)).await
    }
    pub async fn reach(&self) -> Result<&'static str, Failure> {
        self.ask(Order::Reach).await
    }
    pub async fn push(&self, peer: PeerId) -> Result<(), Failure> {
        self.ask(|answer| Order::Push(peer, answer)).await
    }
    pub async fn provide(&self, key: Vec<u8>) -> Result<(), Failure> {
        self.ask(|answer| Order::Provide(key, answer)).await
    }
    pub async fn put(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), Failure> {
        self.ask(|answer| Order::Put(key, value, answer)).await
    }
    pub async fn value(&self, key: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.ask(|answer| Order::Value(key, answer)).await
    }
    pub async fn providers(&self, key: Vec<u8>) -> Result<HashSet<PeerId>, Failure> {
        self.ask(|answer| Order::Providers(key, answer)).await
    }
}

fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// A server of the DHT with this prefix.
fn kad_server(id: PeerId, prefix: &str) -> kad::Behaviour<MemoryStore> {
    let name = StreamProtocol::try_from_owned(format!("{prefix}/kad/1.0.0")).expect("a path");
    let mut server = kad::Behaviour::with_config(id, MemoryStore::new(id), kad::Config::new(name));
    server.set_mode(Some(kad::Mode::Server));
    server
}

/// Version 1, both sides, in a hurry: it asks connected peers by itself.
fn nat_first(id: PeerId) -> autonat::v1::Behaviour {
    let soon = Duration::from_millis(200);
    autonat::v1::Behaviour::new(
        id,
        autonat::v1::Config {
            boot_delay: soon,
            retry_interval: soon,
            throttle_server_period: soon,
            ..Default::default()
        },
    )
}

fn behaviour(
    key: &Keypair,
    through: relay::client::Behaviour,
    block: Option<Vec<u8>>,
    options: &Options,
) -> Behaviour {
    let id = key.public().to_peer_id();
    let config = identify::Config::new("ipfs/0.1.0".into(), key.public());
    Behaviour {
        identify: identify::Behaviour::new(config.with_agent_version("rust-libp2p/0.57.1".into())),
        ping: ping::Behaviour::default(),
        stream: stream::Behaviour::new(),
        perf: perf::serving(),
        blocks: block.map(blocks::serving).into(),
        kad: options.kad.as_ref().map(|prefix| kad_server(id, prefix)).into(),
        relay: options.relay.then(|| relay::Behaviour::new(id, relay::Config::default())).into(),
        through,
        dcutr: options.dcutr.then(|| dcutr::Behaviour::new(id)).into(),
        nat: (options.autonat.as_deref() == Some("1")).then(|| nat_first(id)).into(),
        nat_asks: (options.autonat.as_deref() == Some("2")).then(Default::default).into(),
        nat_answers: (options.autonat.as_deref() == Some("2")).then(Default::default).into(),
    }
}

/// 4096 streams leave no room in yamux's budget for a window to grow: it stays at 256 KiB.
fn muxer(window: &str) -> yamux::Config {
    let mut config = yamux::Config::default();
    if window == "fixed" {
        config.set_max_num_streams(4096);
    }
    config
}

macro_rules! build {
    ($options:expr, $block:expr, $security:expr) => {
        SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), $security, || muxer(&$options.window))?
            .with_relay_client($security, || muxer(&$options.window))?
            .with_behaviour(|key, through| behaviour(key, through, $block, $options))?
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
            .build()
    };
}

pub fn start(options: &Options, block: Option<Vec<u8>>) -> Result<Node, Failure> {
    let mut swarm = match options.security.as_str() {
        "noise" => build!(options, block, noise::Config::new),
        "tls" => build!(options, block, tls::Config::new),
        _ => build!(options, block, (noise::Config::new, tls::Config::new)),
    };
    swarm.listen_on(options.listen.parse()?)?;
    let control = swarm.behaviour().stream.new_control();
    let (orders, taken) = mpsc::channel(64);
    tokio::spawn(Task::new(swarm, !options.dcutr && options.autonat.is_none()).run(taken));
    Ok(Node { orders, control })
}

/// The swarm and who waits for what.
struct Task {
    swarm: Swarm<Behaviour>,
    sure: bool, // of its address; a punch tells those alone of which it is not, AutoNAT asks about them
    address: Option<Multiaddr>,
    told: HashMap<PeerId, identify::Info>,
    listening: Vec<Answer<Multiaddr>>,
    dialling: HashMap<libp2p::swarm::ConnectionId, Answer<PeerId>>,
    closing: Vec<(PeerId, Answer<()>)>,
    placing: Vec<Answer<()>>,
    straight: HashSet<PeerId>, // who has been connected directly
    meeting: Vec<(PeerId, Answer<()>)>,
    providing: HashMap<kad::QueryId, Answer<()>>,
    getting: HashMap<kad::QueryId, (Option<Vec<u8>>, Answer<Vec<u8>>)>,
    asking: HashMap<kad::QueryId, (HashSet<PeerId>, Answer<HashSet<PeerId>>)>,
    telling: Vec<(PeerId, Option<String>, Answer<identify::Info>)>,
    judged: Option<&'static str>, // by AutoNAT
    judging: Vec<Answer<&'static str>>,
}

impl Task {
    fn new(swarm: Swarm<Behaviour>, sure: bool) -> Self {
        Task {
            swarm,
            sure,
            address: None,
            told: HashMap::new(),
            listening: vec![],
            dialling: HashMap::new(),
            closing: vec![],
            placing: vec![],
            straight: HashSet::new(),
            meeting: vec![],
            providing: HashMap::new(),
            getting: HashMap::new(),
            asking: HashMap::new(),
            telling: vec![],
            judged: None,
            judging: vec![],
        }
    }

    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.take(event),
            }
            self.settle();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Listening(answer) => self.listening.push(answer),
            Order::Dial(address, answer) => {
                let dial = DialOpts::unknown_peer_id().address(address).build();
                let connection = dial.connection_id();
                match self.swarm.dial(dial) {
                    Ok(()) => drop(self.dialling.insert(connection, answer)),
                    Err(error) => drop(answer.send(Err(error.into()))),
                }
            }
            Order::Close(peer, answer) => {
                let _ = self.swarm.disconnect_peer_id(peer);
                self.closing.push((peer, answer));
            }
            Order::Told(peer, protocol, answer) => self.telling.push((peer, protocol, answer)),
            Order::Push(peer, answer) => {
                self.swarm.behaviour_mut().identify.push([peer]);
                let _ = answer.send(Ok(()));
            }
            Order::Place(relay, answer) => match self.swarm.listen_on(relay.with(Protocol::P2pCircuit)) {
                Ok(_) => self.placing.push(answer),
                Err(error) => drop(answer.send(Err(error.into()))),
            },
            Order::Reach(answer) => self.judging.push(answer),
            Order::Direct(peer, answer) => self.meeting.push((peer, answer)),
            Order::Provide(key, answer) => match self.swarm.behaviour_mut().kad.as_mut() {
                Some(kad) => match kad.start_providing(key.into()) {
                    Ok(query) => drop(self.providing.insert(query, answer)),
                    Err(error) => drop(answer.send(Err(error.into()))),
                },
                None => drop(answer.send(Err("not in a DHT".into()))),
            },
            Order::Put(key, value, answer) => match self.swarm.behaviour_mut().kad.as_mut() {
                Some(kad) => match kad.put_record(kad::Record::new(key, value), kad::Quorum::One) {
                    Ok(query) => drop(self.providing.insert(query, answer)),
                    Err(error) => drop(answer.send(Err(error.into()))),
                },
                None => drop(answer.send(Err("not in a DHT".into()))),
            },
            Order::Value(key, answer) => match self.swarm.behaviour_mut().kad.as_mut() {
                Some(kad) => {
                    let query = kad.get_record(key.into());
                    self.getting.insert(query, (None, answer));
                }
                None => drop(answer.send(Err("not in a DHT".into()))),
            },
            Order::Providers(key, answer) => match self.swarm.behaviour_mut().kad.as_mut() {
                Some(kad) => {
                    let query = kad.get_providers(key.into());
                    self.asking.insert(query, (HashSet::new(), answer));
                }
                None => drop(answer.send(Err("not in a DHT".into()))),
            },
        }
    }

    /// A query of the DHT has moved on.
    fn progress(&mut self, query: kad::QueryId, result: kad::QueryResult, last: bool) {
        if let kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders { providers, .. })) =
            &result
        {
            if let Some((found, _)) = self.asking.get_mut(&query) {
                found.extend(providers);
            }
        }
        if let kad::QueryResult::GetRecord(Ok(kad::GetRecordOk::FoundRecord(found))) = &result {
            if let Some((value, _)) = self.getting.get_mut(&query) {
                value.get_or_insert(found.record.value.clone());
            }
        }
        if !last {
            return;
        }
        if let Some((value, answer)) = self.getting.remove(&query) {
            let _ = answer.send(value.ok_or("nobody holds the value".into()));
        }
        if let Some((found, answer)) = self.asking.remove(&query) {
            let _ = answer.send(Ok(found));
        }
        if let Some(answer) = self.providing.remove(&query) {
            let _ = answer.send(match result {
                kad::QueryResult::StartProviding(Err(error)) => Err(error.into()),
                kad::QueryResult::PutRecord(Err(error)) => Err(error.into()),
                _ => Ok(()),
            });
        }
    }

    fn take(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } if !is_relayed(&address) => {
                if self.sure {
                    self.swarm.add_external_address(address.clone());
                }
                self.address = Some(address.with_p2p(*self.swarm.local_peer_id()).expect("no peer in it"));
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                if !endpoint.is_relayed() {
                    self.straight.insert(peer_id);
                }
                if let Some(answer) = self.dialling.remove(&connection_id) {
                    let _ = answer.send(Ok(peer_id));
                }
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(answer) = self.dialling.remove(&connection_id) {
                    let _ = answer.send(Err(error.into()));
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Through(
                relay::client::Event::ReservationReqAccepted { .. },
            )) => {
                for answer in self.placing.drain(..) {
                    let _ = answer.send(Ok(()));
                }
            }
            SwarmEvent::Behaviour(BehaviourEvent::Nat(autonat::v1::Event::StatusChanged { new, .. })) => {
                self.judged = match new {
                    autonat::v1::NatStatus::Public(_) => Some("public"),
                    autonat::v1::NatStatus::Private => Some("private"),
                    autonat::v1::NatStatus::Unknown => None,
                };
            }
            SwarmEvent::Behaviour(BehaviourEvent::NatAsks(event)) => {
                self.judged = Some(if event.result.is_ok() { "public" } else { "private" });
            }
            SwarmEvent::Behaviour(BehaviourEvent::Dcutr(event)) => eprintln!("punching: {event:?}"),
            SwarmEvent::ConnectionClosed { peer_id, cause: Some(cause), .. } => {
                eprintln!("the connection to {peer_id} ended: {cause}");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                info,
                ..
            })) => {
                if let Some(kad) = self.swarm.behaviour_mut().kad.as_mut() {
                    for address in &info.listen_addrs {
                        kad.add_address(&peer_id, address.clone());
                    }
                }
                self.told.insert(peer_id, info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                id,
                result,
                step,
                ..
            })) => self.progress(id, result, step.last),
            _ => {}
        }
    }

    /// Answers whoever has waited for what is true now.
    fn settle(&mut self) {
        if let Some(address) = &self.address {
            for answer in self.listening.drain(..) {
                let _ = answer.send(Ok(address.clone()));
            }
        }
        if let Some(judged) = self.judged {
            for answer in self.judging.drain(..) {
                let _ = answer.send(Ok(judged));
            }
        }
        for (peer, answer) in std::mem::take(&mut self.meeting) {
            if self.straight.contains(&peer) {
                let _ = answer.send(Ok(()));
            } else {
                self.meeting.push((peer, answer));
            }
        }
        for (peer, answer) in std::mem::take(&mut self.closing) {
            if self.swarm.is_connected(&peer) {
                self.closing.push((peer, answer));
            } else {
                let _ = answer.send(Ok(()));
            }
        }
        for (peer, protocol, answer) in std::mem::take(&mut self.telling) {
            let spoken = |info: &&identify::Info| {
                protocol.as_ref().is_none_or(|name| info.protocols.iter().any(|one| one.as_ref() == name))
            };
            match self.told.get(&peer).filter(spoken) {
                Some(info) => drop(answer.send(Ok(info.clone()))),
                None => self.telling.push((peer, protocol, answer)),
            }
        }
    }
}
