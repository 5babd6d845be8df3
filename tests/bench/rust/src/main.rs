//! kube-rs-bench runs kube-rs' reflector for EndpointSlices as a subject of the bench (see
//! ../discovery/subject.py for what it answers to).
//!
//!     KUBECONFIG=FILE kube-rs-bench [--streaming]

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::Event;
use kube::runtime::{reflector, watcher, WatchStreamExt};
use kube::{Api, Client};

/// What the stream writes and the commands read.
#[derive(Default)]
struct Seen {
    updates: u64,
    expected: u64, // updates; 0: none
    began: u64,    // CPU, at `expect`
    first: Option<Instant>,
    log: Option<Vec<(String, u128)>>,
}

fn cpu() -> u64 {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let us = |t: libc::timeval| t.tv_sec as u64 * 1_000_000 + t.tv_usec as u64;
    us(usage.ru_utime) + us(usage.ru_stime)
}

fn tell(value: serde_json::Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}");
    let _ = out.flush();
}

impl Seen {
    fn updated(&mut self, slice: &EndpointSlice) {
        self.updates += 1;
        if let Some(log) = &mut self.log {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
            log.push((slice.metadata.name.clone().unwrap_or_default(), now));
        }
        if self.expected == 0 {
            return;
        }
        let first = *self.first.get_or_insert_with(Instant::now);
        self.expected -= 1;
        if self.expected == 0 {
            tell(serde_json::json!({"at": "events", "cpu_us": cpu() - self.began,
                "seen": self.updates, "us": first.elapsed().as_micros() as u64}));
        }
    }
}

fn held(store: &reflector::Store<EndpointSlice>) -> serde_json::Value {
    let (mut slices, mut endpoints, mut unready) = (0, 0, 0);
    for slice in store.state() {
        slices += 1;
        for endpoint in slice.endpoints.iter().flatten() {
            endpoints += 1;
            let ready = endpoint.conditions.as_ref().and_then(|c| c.ready);
            unready += u64::from(ready == Some(false));
        }
    }
    serde_json::json!({"at": "held", "slices": slices, "endpoints": endpoints, "unready": unready})
}

fn command(line: &str, seen: &Mutex<Seen>, store: &reflector::Store<EndpointSlice>) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut seen = seen.lock().unwrap();
    match word {
        "expect" => {
            seen.expected = rest.parse().unwrap_or(0);
            seen.first = None;
            seen.began = cpu();
            tell(serde_json::json!({"at": "expecting"}));
        }
        "cpu" => tell(serde_json::json!({"at": "cpu", "cpu_us": cpu()})),
        "held" => tell(held(store)),
        "log" => {
            seen.log = Some(Vec::with_capacity(10_000));
            tell(serde_json::json!({"at": "logging"}));
        }
        "write" => {
            let mut text = String::new();
            for (name, ns) in seen.log.iter().flatten() {
                text.push_str(&format!("{name} {ns}\n"));
            }
            std::fs::write(rest, text).expect("latencies");
            tell(serde_json::json!({"at": "written"}));
        }
        _ => {}
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let streaming = std::env::args().any(|a| a == "--streaming");
    let began = Instant::now();
    let api: Api<EndpointSlice> = Api::all(Client::try_default().await?);
    let (store, writer) = reflector::store();
    let config = watcher::Config::default();
    let config = if streaming { config.streaming_lists() } else { config };
    let events = reflector(writer, watcher(api, config)).default_backoff();
    let mut events = std::pin::pin!(events);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut synced = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(slice)) => seen.lock().unwrap().updated(&slice),
            Ok(Event::InitDone) if !synced => {
                synced = true;
                tell(serde_json::json!({"at": "synced", "cpu_us": cpu(),
                    "us": began.elapsed().as_micros() as u64}));
                let (seen, store) = (seen.clone(), store.clone());
                std::thread::spawn(move || {
                    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                        command(&line, &seen, &store);
                    }
                    std::process::exit(0);
                });
            }
            Ok(_) => {}
            Err(error) => eprintln!("kube-rs-bench: {error}"),
        }
    }
    Ok(())
}
