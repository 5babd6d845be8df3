//! kube-rs-watch runs kube-rs' reflector for EndpointSlices and prints, whenever nothing has changed for a
//! moment, all that it holds as one JSON line: {"endpoints":{"ns/service":["address ready terminating"]}}.
//!
//!     KUBECONFIG=FILE kube-rs-watch

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::{reflector, watcher, WatchStreamExt};
use kube::{Api, Client, ResourceExt};

const QUIET: Duration = Duration::from_millis(300);

fn held(store: &reflector::Store<EndpointSlice>) -> serde_json::Value {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for slice in store.state() {
        let service = slice.labels().get("kubernetes.io/service-name").cloned().unwrap_or_default();
        let list = all
            .entry(format!("{}/{}", slice.namespace().unwrap_or_default(), service))
            .or_default();
        for endpoint in slice.endpoints.iter().flatten() {
            let conditions = endpoint.conditions.clone().unwrap_or_default();
            list.push(format!(
                "{} {} {}",
                endpoint.addresses[0],
                conditions.ready.unwrap_or(true),
                conditions.terminating.unwrap_or(false)
            ));
        }
    }
    for list in all.values_mut() {
        list.sort();
    }
    serde_json::json!({ "endpoints": all })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let api: Api<EndpointSlice> = Api::all(Client::try_default().await?);
    let (store, writer) = reflector::store();
    let events = reflector(writer, watcher(api, watcher::Config::default())).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut changed = false;
    loop {
        match tokio::time::timeout(QUIET, events.next()).await {
            Ok(Some(Ok(_))) => changed = true,
            Ok(Some(Err(error))) => eprintln!("kube-rs-watch: {error}"),
            Ok(None) => return Ok(()),
            Err(_) if changed => {
                println!("{}", held(&store));
                changed = false;
            }
            Err(_) => {}
        }
    }
}
