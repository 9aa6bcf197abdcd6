//! Uploads of datasets, valid and invalid, in one step and in two.

use std::fs;

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::{Value, json};
use wire::access::{Role, TokenKind};

use crate::lab::{Answer, Lab, ask};

/// The body of a form with these files, and fields before them.
fn form(fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = vec![];
    for (name, value) in fields {
        body.extend(format!("--edge\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
    }
    for (name, bytes) in files {
        body.extend(
            format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    body
}

async fn post_form(lab: &Lab, path: &str, body: Vec<u8>) -> Answer {
    let request = ask("POST", path, Some(&lab.steer)).header("content-type", "multipart/form-data; boundary=edge");
    lab.send(request.body(Body::from(body)).unwrap()).await
}

fn leftovers(lab: &Lab) -> usize {
    fs::read_dir(lab.folder.path().join("incoming")).unwrap().count()
}

#[tokio::test]
async fn an_upload_without_anything_usable_is_refused_and_leaves_nothing() {
    let lab = Lab::open().await;
    for (query, content, status, code, said) in [
        ("name=empty", &b""[..], 422, "text_empty", "empty"),
        ("name=binary&filename=a.txt", &b"abc\0def"[..], 422, "text_binary", "3"),
        ("name=latin&filename=b.txt", &b"caf\xe9 au lait"[..], 422, "text_binary", "windows-1252"),
        ("name=lines&filename=c.jsonl", &b"{broken\n"[..], 422, "records_invalid", "line 1"),
        ("name=fields&filename=d.jsonl", &b"{\"story\":\"a\"}\n"[..], 422, "field_missing", "story"),
        ("name=table&filename=d.csv&field=tale", &b"story\na\n"[..], 422, "field_missing", "story"),
        ("name=plain&filename=d.txt&field=tale", &b"a\n"[..], 422, "field_missing", "plain text"),
        ("name=strict&filename=e.jsonl&strict=true", &b"{\"text\":\"a\"}\n{bad\n"[..], 422, "import_refused", "1"),
        ("name=unknown&encoding=klingon", &b"a"[..], 422, "encoding_unknown", "klingon"),
        ("name=zip&filename=a.zip", &b"PK\x03\x04zip"[..], 422, "text_binary", "ZIP"),
    ] {
        let answer = lab.upload(query, content).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{query}: {:?}", answer.json());
        assert!(answer.json()["message"].as_str().unwrap().contains(said), "{query}: {:?}", answer.json());
        assert!(answer.json()["hint"].is_string(), "{query}: {:?}", answer.json());
    }
    for query in ["split=sentences", "line_ends=cr", "strict=perhaps", "fields=text"] {
        let answer = lab.upload(query, b"a").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "value_invalid"), "{query}");
        assert_eq!(answer.json()["field"].as_str(), query.split('=').next());
    }
    let large = lab.upload("name=large", &vec![b'a'; 100_001]).await;
    assert_eq!((large.status, large.code().as_str()), (StatusCode::PAYLOAD_TOO_LARGE, "too_large"));
    assert_eq!(lab.get("/api/v1/corpora", &lab.view).await.json(), json!([]));
    assert_eq!(leftovers(&lab), 0, "refused uploads leave no files");
}

#[tokio::test]
async fn names_of_datasets_have_a_limit_and_unknown_options_are_refused() {
    let lab = Lab::open().await;
    let (long, most) = ("x".repeat(121), "é".repeat(120));
    let staged =
        lab.send(ask("POST", "/api/v1/uploads", Some(&lab.steer)).body(Body::from("text")).unwrap()).await.json();
    let import = format!("/api/v1/uploads/{}/import", staged["id"].as_str().unwrap());
    for name in [&long, "two\nlines", "bell\u{7}", &format!("{long}\u{301}")] {
        let query = format!("name={}", name.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>());
        let form = form(&[("name", name)], &[("a.txt", b"text")]);
        for answer in [
            lab.upload(&query, b"text").await,
            lab.send(
                ask("POST", &format!("/api/v1/uploads?{query}"), Some(&lab.steer)).body(Body::from("text")).unwrap(),
            )
            .await,
            post_form(&lab, "/api/v1/corpora", form).await,
            lab.post(&import, &lab.steer, &json!({"name": name}).to_string()).await,
        ] {
            let error = answer.json();
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str(), &error["field"]),
                (422, "name_invalid", &json!("name")),
                "{error}"
            );
            assert!(error["hint"].as_str().unwrap().contains("120 characters"), "{error}");
            assert!(error["message"].as_str().unwrap().len() < 300, "{error}");
        }
    }
    for (options, said) in
        [(json!({"fields": "a"}), "fields"), (json!({"Field": "a"}), "Field"), (json!({"strict": 1}), "strict")]
    {
        let answer = lab.post(&import, &lab.steer, &json!({"options": options}).to_string()).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "body_invalid"), "{:?}", answer.json());
        assert!(answer.json().to_string().contains(said), "{:?}", answer.json());
    }
    assert_eq!(lab.get("/api/v1/corpora", &lab.view).await.json(), json!([]));
    let answer = lab.post(&import, &lab.steer, &json!({"name": most}).to_string()).await;
    assert_eq!((answer.status, answer.json()["name"].as_str()), (StatusCode::CREATED, Some(most.as_str())));
    for stem in ["y", "ё"] {
        let name = format!("{}.txt", stem.repeat(150));
        let answer = post_form(&lab, "/api/v1/corpora", form(&[], &[(&name, b"text")])).await;
        let cut = answer.json()["name"].as_str().unwrap().chars().count();
        assert!(cut > 100 && cut <= 120, "the name of a file is cut: {:?}", answer.json());
    }
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

    let files = [("books/a.txt", text.as_bytes()), ("books/b/c.md", text.as_bytes())];
    let folder = post_form(&lab, "/api/v1/corpora", form(&[], &files)).await;
    assert_eq!(folder.status, StatusCode::CREATED, "{:?}", folder.json());
    assert_eq!((folder.json()["id"].as_str(), folder.json()["documents"].as_u64()), (Some("books"), Some(2)));

    let dataset = lab.post("/api/v1/corpora/my-play/tokenizations", &lab.steer, r#"{"tokenizer": "char"}"#).await;
    assert_eq!(
        (dataset.status, dataset.json()["tokenizer"].as_str()),
        (StatusCode::OK, Some("char")),
        "{:?}",
        dataset.json()
    );
    assert_eq!(post_form(&lab, "/api/v1/corpora", b"--edge\r\nnonsense".to_vec()).await.code(), "form_malformed");
}

#[tokio::test]
async fn an_import_says_what_it_skipped_and_the_list_can_be_downloaded() {
    let lab = Lab::open().await;
    let files: [(&str, &[u8]); 4] = [
        ("set/a.txt", b"one<|endoftext|>two"),
        ("set/.DS_Store", b"\0\0\0\x01Bud1"),
        ("set/b.jsonl", b"{\"text\":\"three\"}\n{bad\n"),
        ("set/c.txt", b""),
    ];
    let answer = post_form(&lab, "/api/v1/corpora", form(&[], &files)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let import = &answer.json()["import"];
    assert_eq!((import["documents"].as_u64(), import["skipped"].as_u64()), (Some(3), Some(3)));
    assert_eq!(import["first"], json!(["one", "two", "three"]));
    assert_eq!(
        import["issues"][1],
        json!({"file": "set/b.jsonl", "line": 2, "outcome": "skipped", "reason": "malformed",
        "message": import["issues"][1]["message"]})
    );
    let list = lab.get("/api/v1/corpora/set/skipped.csv", &lab.view).await;
    assert_eq!(list.headers["content-type"], "text/csv; charset=utf-8");
    let list = String::from_utf8(list.body).unwrap();
    assert!(list.lines().count() == 4 && list.contains("set/.DS_Store,,skipped,hidden,"), "{list}");
    assert_eq!(lab.get("/api/v1/corpora/none/skipped.csv", &lab.view).await.status, StatusCode::NOT_FOUND);

    let fields = [("split", "whole"), ("strict", "true"), ("name", "From a form")];
    let whole = post_form(&lab, "/api/v1/corpora", form(&fields, &files[..1])).await.json();
    assert_eq!((whole["documents"].as_u64(), whole["name"].as_str()), (Some(1), Some("From a form")));
    let wrong = post_form(&lab, "/api/v1/corpora", form(&[("split", "sentences")], &files[..1])).await;
    assert_eq!((wrong.status.as_u16(), wrong.json()["field"].as_str()), (422, Some("split")));
}

#[tokio::test]
async fn an_upload_is_previewed_with_different_options_and_imported_once() {
    let lab = Lab::open().await;
    let files: [(&str, &[u8]); 3] = [
        ("tales/a.jsonl", b"{\"story\":\"one\"}\n{\"story\":\"two\",\"title\":\"t\"}\n"),
        ("tales/b.csv", "id;story\n1;größer\n".as_bytes()),
        ("tales/c.png", b"\x89PNG\r\n\0"),
    ];
    let staged = post_form(&lab, "/api/v1/uploads", form(&[], &files)).await;
    assert_eq!(staged.status, StatusCode::CREATED, "{:?}", staged.json());
    let staged = staged.json();
    assert_eq!((staged["name"].as_str(), staged["report"]["documents"].as_u64()), (Some("tales"), Some(0)));
    assert_eq!(staged["report"]["fields"][0]["name"], "story");
    let path = format!("/api/v1/uploads/{}", staged["id"].as_str().unwrap());
    let preview = lab.get(&format!("{path}?field=story"), &lab.steer).await.json();
    assert_eq!(preview["report"]["first"], json!(["one", "two", "größer"]));
    let kinds: Vec<&Value> = (0..3).map(|file| &preview["report"]["files"][file]["kind"]).collect();
    assert_eq!(kinds, ["json_lines", "csv", "binary"]);
    let list = String::from_utf8(lab.get(&format!("{path}/skipped.csv"), &lab.steer).await.body).unwrap();
    assert!(list.contains("tales/c.png,,skipped,binary,"), "{list}");

    let import = |body: Value| {
        let (lab, path) = (&lab, format!("{path}/import"));
        async move { lab.post(&path, &lab.steer, &body.to_string()).await }
    };
    let refused = import(json!({"options": {"field": "story", "strict": true}})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "import_refused"));
    assert_eq!(refused.json()["report"]["issues"][0]["file"], "tales/c.png");
    assert_eq!(import(json!({})).await.code(), "field_missing");
    assert_eq!(lab.get("/api/v1/corpora", &lab.view).await.json(), json!([]));
    let imported = import(json!({"name": "My tales", "options": {"field": "story"}})).await;
    assert_eq!(imported.status, StatusCode::CREATED, "{:?}", imported.json());
    let info = imported.json();
    assert_eq!((info["id"].as_str(), info["documents"].as_u64()), (Some("my-tales"), Some(3)));
    assert_eq!(lab.get(&path, &lab.steer).await.status, StatusCode::NOT_FOUND, "it waits no longer");
    assert_eq!(leftovers(&lab), 0);
}

#[tokio::test]
async fn waiting_uploads_can_be_discarded_and_are_not_unlimited() {
    let lab = Lab::open().await;
    let stage = || lab.send(ask("POST", "/api/v1/uploads", Some(&lab.steer)).body(Body::from("text")).unwrap());
    let staged = stage().await.json();
    let path = format!("/api/v1/uploads/{}", staged["id"].as_str().unwrap());
    assert!(staged["expires_ms"].as_i64().unwrap() > 0);
    assert_eq!(lab.get(&path, &lab.view).await.status, StatusCode::FORBIDDEN, "whoever may import it may look");
    let discard = || lab.send(ask("DELETE", &path, Some(&lab.steer)).body(Body::empty()).unwrap());
    assert_eq!(discard().await.status, StatusCode::NO_CONTENT);
    assert_eq!(discard().await.status, StatusCode::NOT_FOUND);
    assert_eq!(leftovers(&lab), 0);
    let mut senders = vec![lab.steer.clone(), lab.admin.clone()];
    for name in ["bob", "eve", "ida"] {
        senders.push(lab.state.store().add_token(name, Role::Steer, TokenKind::Api, None).await.unwrap());
    }
    let last = senders.pop().unwrap();
    let stage_as =
        |token: &str| lab.send(ask("POST", "/api/v1/uploads", Some(token)).body(Body::from("text")).unwrap());
    for token in &senders {
        for _ in 0..4 {
            assert_eq!(stage_as(token).await.status, StatusCode::CREATED);
        }
        let refused = stage_as(token).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"));
        assert!(refused.json()["message"].as_str().unwrap().starts_with("4 of your"), "{refused:?}");
    }
    let refused = stage_as(&last).await;
    assert_eq!((refused.status, refused.code().as_str()), (StatusCode::TOO_MANY_REQUESTS, "busy"));
    assert_eq!(leftovers(&lab), 16);
    let wrong = ask("POST", "/api/v1/uploads?encoding=klingon", Some(&lab.steer)).body(Body::from("text")).unwrap();
    assert_ne!(lab.send(wrong).await.status, StatusCode::CREATED);
    assert_eq!(leftovers(&lab), 16);
}

#[tokio::test]
async fn a_waiting_upload_belongs_to_its_sender() {
    let lab = Lab::open().await;
    let staged = lab.send(ask("POST", "/api/v1/uploads", Some(&lab.steer)).body(Body::from("text")).unwrap()).await;
    let path = format!("/api/v1/uploads/{}", staged.json()["id"].as_str().unwrap());
    let import = format!("{path}/import");
    for answer in [
        lab.get(&path, &lab.admin).await,
        lab.get(&format!("{path}/skipped.csv"), &lab.admin).await,
        lab.post(&import, &lab.admin, "{}").await,
        lab.delete(&path, &lab.admin).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_FOUND, "not_found"), "{answer:?}");
    }
    assert_eq!(lab.post(&import, &lab.steer, "{}").await.status, StatusCode::CREATED);
    let project = json!({ "name": "full", "limits": { "disk_bytes": 0 } }).to_string();
    assert_eq!(lab.post("/api/v1/projects", &lab.admin, &project).await.status, StatusCode::CREATED);
    let to_full = ask("POST", "/api/v1/uploads?project=full", Some(&lab.steer)).body(Body::from("text")).unwrap();
    assert_eq!(lab.send(to_full).await.code(), "disk_limit");
    assert_eq!(leftovers(&lab), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_uploads_of_one_name_at_once_stay_in_their_projects() {
    let lab = Lab::open().await;
    for project in ["alpha", "beta"] {
        let made = lab.post("/api/v1/projects", &lab.admin, &json!({ "name": project }).to_string()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
    for round in 0..12 {
        let upload = async |project: &str| {
            let query = format!("name=race-{round}&project={project}");
            let made = lab.upload(&query, format!("the text of {project}").as_bytes()).await;
            assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
            let sample = made.json()["sample"].as_str().unwrap().to_owned();
            (made.json()["id"].as_str().unwrap().to_owned(), project.to_owned(), sample)
        };
        let (one, other) = tokio::join!(upload("alpha"), upload("beta"));
        assert_ne!(one.0, other.0);
        let owners = lab.state.store().dataset_projects().await.unwrap();
        for (id, project, sample) in [one, other] {
            assert_eq!((owners.get(&id), sample), (Some(&project), format!("the text of {project}")), "{id}");
        }
    }
}

#[tokio::test]
async fn a_project_can_be_deleted_after_its_datasets_and_failed_imports() {
    let lab = Lab::open().await;
    assert_eq!(lab.post("/api/v1/projects", &lab.admin, r#"{"name": "delta"}"#).await.status, StatusCode::CREATED);
    let refused = lab.upload("name=broken&filename=a.txt&project=delta", b"abc\0def").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    assert_eq!(lab.upload("name=play&project=delta", b"to be or not to be").await.status, StatusCode::CREATED);
    let in_use = lab.delete("/api/v1/projects/delta", &lab.admin).await;
    assert!(in_use.json()["message"].as_str().unwrap().contains("1 dataset belongs to it"), "{in_use:?}");
    assert_eq!(lab.delete("/api/v1/corpora/play", &lab.admin).await.status, StatusCode::NO_CONTENT);
    assert_eq!(lab.delete("/api/v1/projects/delta", &lab.admin).await.status, StatusCode::NO_CONTENT);
}
