//! The link to workers: a worker of another protocol version is refused with a message that names both versions.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use wire::encode;
use wire::transport::link::{FromServer, PROTOCOL};

use crate::scenarios::LabWithWorker;

/// Sends the first message of a connection and returns the answer.
async fn first_answer(served: &LabWithWorker, message: Vec<u8>) -> FromServer {
    let mut request = format!("ws://{}/api/v1/link", served.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", served.lab.worker).parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::binary(message)).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.unwrap().unwrap().unwrap();
    encode::from_bytes(&answer.into_data()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_protocol_version_is_refused() {
    let served = LabWithWorker::open().await;
    for protocol in [PROTOCOL - 1, PROTOCOL + 1] {
        // Variant 0 (Hello) and the version, followed by fields that this version may not decode.
        let hello = [encode::to_bytes(&(0u32, protocol)).unwrap(), b"\x05other".to_vec()].concat();
        let FromServer::Refused { message } = first_answer(&served, hello).await else { panic!("not refused") };
        for words in [format!("version {protocol}"), format!("version {PROTOCOL}"), "same version".to_owned()] {
            assert!(message.contains(&words), "{words:?} is not in {message:?}");
        }
    }
    let FromServer::Refused { message } = first_answer(&served, vec![9]).await else { panic!("not refused") };
    assert!(message.contains("Hello"), "{message}");
    let devices = served.lab.get("/api/v1/devices", &served.lab.view).await.json();
    assert_eq!(devices.as_array().unwrap().len(), 1, "the refused workers are not listed");
}
