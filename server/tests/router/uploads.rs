//! Uploads of datasets, valid and invalid.

use axum::body::Body;
use axum::http::StatusCode;

use crate::lab::{Lab, ask};

#[tokio::test]
async fn an_upload_without_text_is_refused_and_leaves_nothing() {
    let lab = Lab::open().await;
    for (query, content, status, code, said) in [
        ("name=empty", &b""[..], 422, "text_empty", "empty"),
        ("name=binary&filename=a.txt", &b"abc\0def"[..], 422, "text_binary", "3"),
        ("name=latin&filename=b.txt", &b"caf\xe9 au lait"[..], 422, "text_binary", "3"),
        ("name=lines&filename=c.jsonl", &b"{\"text\":\"a\"}\n{broken\n"[..], 422, "json_line_invalid", "line 2"),
        ("name=fields&filename=d.jsonl", &b"{\"story\":\"a\"}\n"[..], 422, "json_field_missing", "story"),
    ] {
        let answer = lab.upload(query, content).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{query}: {:?}", answer.json());
        assert!(answer.json()["message"].as_str().unwrap().contains(said), "{query}: {:?}", answer.json());
        assert!(answer.json()["hint"].is_string(), "{query}: {:?}", answer.json());
    }
    let large = lab.upload("name=large", &vec![b'a'; 100_001]).await;
    assert_eq!((large.status, large.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    assert_eq!(lab.get("/api/v1/corpora", &lab.view).await.json(), serde_json::json!([]));
    let incoming = lab.folder.path().join("incoming");
    assert_eq!(std::fs::read_dir(incoming).unwrap().count(), 0, "refused uploads leave no files");
}

#[tokio::test]
async fn files_and_folders_become_datasets_with_ids_of_their_own() {
    let lab = Lab::open().await;
    let text = "to be or not to be\n".repeat(50);
    let answer = lab.upload("name=My%20Play&filename=../../play.txt", text.as_bytes()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let info = answer.json();
    assert_eq!(
        (info["id"].as_str(), info["name"].as_str(), info["chars"].as_u64()),
        (Some("my-play"), Some("My Play"), Some(950))
    );
    assert_eq!(lab.upload("name=My%20Play", text.as_bytes()).await.json()["id"].as_str(), Some("my-play-2"));

    let form = ["books/a.txt", "books/b/c.md"].map(|name| {
        format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/plain\r\n\r\n{text}\r\n")
    });
    let body = format!("{}--edge--\r\n", form.concat());
    let request =
        ask("POST", "/api/v1/corpora", Some(&lab.steer)).header("content-type", "multipart/form-data; boundary=edge");
    let folder = lab.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(folder.status, StatusCode::CREATED, "{:?}", folder.json());
    assert_eq!((folder.json()["id"].as_str(), folder.json()["documents"].as_u64()), (Some("books"), Some(2)));

    let dataset = lab.post("/api/v1/corpora/my-play/tokenizations", &lab.steer, r#"{"tokenizer": "char"}"#).await;
    assert_eq!(
        (dataset.status, dataset.json()["tokenizer"].as_str()),
        (StatusCode::OK, Some("char")),
        "{:?}",
        dataset.json()
    );
    let broken =
        ask("POST", "/api/v1/corpora", Some(&lab.steer)).header("content-type", "multipart/form-data; boundary=edge");
    assert_eq!(lab.send(broken.body(Body::from("--edge\r\nnonsense")).unwrap()).await.code(), "form_malformed");
}
