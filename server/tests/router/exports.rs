//! Exports and imports: tables with every point, archives that another lab imports unchanged, models; invalid uploads are refused with the
//! reason and leave nothing.

use axum::body::Body;
use axum::http::StatusCode;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;

use crate::lab::{Answer, Lab, ask};
use crate::scenarios::LabWithWorker;

impl Lab {
    async fn import(&self, query: &str, content: Vec<u8>) -> Answer {
        let path = format!("/api/v1/runs/import{query}");
        self.send(ask("POST", &path, Some(&self.steer)).body(Body::from(content)).unwrap()).await
    }

    async fn import_files(&self, files: &[(&str, &[u8])]) -> Answer {
        let mut body = vec![];
        for (name, content) in files {
            let head = format!("--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        }
        body.extend(b"--edge--\r\n");
        let request = ask("POST", "/api/v1/runs/import", Some(&self.steer));
        let request = request.header("content-type", "multipart/form-data; boundary=edge");
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Whether it has no run, no files of an upload, and no series.
    async fn is_empty(&self) -> bool {
        let count = |name: &str| std::fs::read_dir(self.folder.path().join(name)).unwrap().count();
        let runs = self.get("/api/v1/runs?deleted=true", &self.view).await.json();
        runs == serde_json::json!([]) && count("incoming") + count("series") + count("checkpoints") == 0
    }
}

/// Enough for commands to take effect in between.
const STEPS: u64 = 800;

/// A run with an abandoned segment, and its archive.
async fn rolled_back() -> (LabWithWorker, String, Vec<u8>) {
    let served = LabWithWorker::open().await;
    let run = served.start(STEPS).await;
    served.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(20)).await;
    let saved = served.command(&run, r#"{"kind": "checkpoint"}"#).await.json();
    let id = saved["event"]["checkpoint"]["id"].as_str().unwrap().to_owned();
    served.wait_until(&format!("/api/v1/runs/{run}"), |view| view["summary"]["step"].as_u64() > Some(40)).await;
    let back = format!(r#"{{"kind": "rollback", "checkpoint": "{id}", "reason": "a comma, and \"quotes\""}}"#);
    assert_eq!(served.command(&run, &back).await.status, StatusCode::OK);
    served.reaches(&run, "finished").await;
    // The checkpoints of the fake trainer have no files.
    let archive = served.lab.get(&format!("/api/v1/runs/{run}/archive?checkpoints=none"), &served.lab.view).await;
    assert_eq!(
        (archive.status, &archive.headers["content-type"]),
        (StatusCode::OK, &"application/x-tar".parse().unwrap())
    );
    (served, run.to_string(), archive.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_every_point_and_mark_abandoned_segments() {
    let (served, run, _) = rolled_back().await;
    let csv = served.lab.get(&format!("/api/v1/runs/{run}/series.csv"), &served.lab.view).await;
    assert_eq!(csv.headers["content-disposition"], format!("attachment; filename=\"{run}.csv\"").as_str());
    let text = String::from_utf8(csv.body).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("segment,series,step,tokens,secs,flops,value,abandoned"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    let exact = |name: &str| {
        let path = format!("/api/v1/runs/{run}/series?names={name}&points=10000");
        let lab = &served.lab;
        async move { lab.get(&path, &lab.view).await.json() }
    };
    let windows = exact("loss.train").await;
    let stored: usize =
        windows.as_array().unwrap().iter().map(|window| window["buckets"].as_array().unwrap().len()).sum();
    let of = |name: &str| rows.iter().filter(|row| row[1] == name).collect::<Vec<_>>();
    let losses = of("loss.train");
    assert_eq!((losses.len(), rows.len()), (stored, 2 * stored), "loss and tokens");
    let on_path: Vec<u64> = losses.iter().filter(|row| row[7] == "false").map(|row| row[2].parse().unwrap()).collect();
    assert_eq!(on_path.len() as u64, STEPS, "the path has each step once");
    assert!(
        losses.len() as u64 > STEPS && losses.iter().any(|row| row[7] == "true" && row[0] == "0"),
        "and the abandoned segment has its points"
    );
    for row in &losses {
        let step: f64 = row[2].parse().unwrap();
        assert_eq!(row[6].parse::<f64>().unwrap().to_bits(), (4.0 / (step + 1.0)).to_bits(), "exact values");
        assert_eq!(
            (row[3].parse::<f64>().unwrap(), row[4]),
            (step + 1.0, "NaN"),
            "tokens as reported, and unknown seconds"
        );
        assert!(row[5].parse::<f64>().unwrap() > 0.0);
    }

    let few = served.lab.get(&format!("/api/v1/runs/{run}/series.csv?names=tokens,nothing"), &served.lab.view).await;
    assert_eq!(String::from_utf8(few.body).unwrap().lines().count(), stored + 1);

    let parquet = served.lab.get(&format!("/api/v1/runs/{run}/series.parquet"), &served.lab.view).await;
    let reader = SerializedFileReader::new(bytes::Bytes::from(parquet.body)).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows() as usize, rows.len());
    for (row, line) in reader.get_row_iter(None).unwrap().zip(&rows) {
        let row = row.unwrap();
        assert_eq!(row.get_int(0).unwrap().to_string(), line[0]);
        assert_eq!(row.get_string(1).unwrap(), line[1]);
        assert_eq!(row.get_long(2).unwrap().to_string(), line[2]);
        for column in 3..7 {
            let (stored, written) = (row.get_double(column).unwrap(), line[column].parse::<f64>().unwrap());
            assert!(stored.to_bits() == written.to_bits() || stored.is_nan() && written.is_nan());
        }
        assert_eq!(row.get_bool(7).unwrap().to_string(), line[7]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_archive_is_the_same_run() {
    let (served, run, archive) = rolled_back().await;
    let lab = Lab::open().await;
    let answer = lab.import("", archive.clone()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let (here, there) = (lab.get(&format!("/api/v1/runs/{run}"), &lab.view).await.json(), served.view_of(&run).await);
    for what in ["name", "state", "step", "steps", "loss_train", "best_valid", "created_ms", "parameters", "corpus"] {
        assert_eq!(here["summary"][what], there["summary"][what], "{what}");
    }
    for what in ["segments", "lineage", "hyperparameters", "spec", "estimate"] {
        assert_eq!(here[what], there[what], "{what}");
    }
    // The sparkline after the rollback was estimated; after the import it is exact.
    let sparkline = |view: &Value| serde_json::from_value::<Vec<f64>>(view["summary"]["sparkline"].clone()).unwrap();
    let (exact, estimated) = (sparkline(&here), sparkline(&there));
    assert!(
        exact.len() == estimated.len() && exact.iter().zip(&estimated).all(|(a, b)| (a - b).abs() < 0.01 * b.abs())
    );
    assert!(here["plan"]["tokenizer"].as_str().unwrap().starts_with("imported-"), "the archive has its tokenizer");
    let read = |lab: &Lab, what: &str| {
        let (path, router, view) = (format!("/api/v1/runs/{run}/{what}"), lab.router.clone(), lab.view.clone());
        async move {
            use http_body_util::BodyExt;
            use tower::ServiceExt;
            let request = ask("GET", &path, Some(&view)).body(Body::empty()).unwrap();
            router.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes().to_vec()
        }
    };
    assert_eq!(read(&lab, "series.csv").await, read(&served.lab, "series.csv").await, "every point of every series");
    let journal = |bytes: Vec<u8>| serde_json::from_slice::<Vec<Value>>(&bytes).unwrap();
    let (mut imported, expected) = (journal(read(&lab, "events").await), journal(read(&served.lab, "events").await));
    let last = imported.pop().unwrap();
    assert_eq!(imported, expected);
    assert_eq!((last["event"]["kind"].as_str(), last["author"]["person"].as_str()), (Some("imported"), Some("ada")));

    // The same archive again becomes another run with another name.
    let again = lab.import("", archive.clone()).await.json();
    assert_ne!(again["summary"]["id"], here["summary"]["id"]);
    assert_eq!(again["summary"]["name"], format!("{} 2", here["summary"]["name"].as_str().unwrap()));
    let named = lab.import("?name=other", archive).await.json();
    assert_eq!(named["summary"]["name"], "other");
    assert_eq!(lab.import("?name=%0A", vec![1]).await.code(), "name_invalid");
}

impl LabWithWorker {
    async fn view_of(&self, run: &str) -> Value {
        self.lab.get(&format!("/api/v1/runs/{run}"), &self.lab.view).await.json()
    }
}

/// A tar file with members of any name and type.
fn tarball(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(vec![]);
    for (name, kind, content) in members {
        let mut header = tar::Header::new_ustar();
        // Written directly, because the library refuses these names.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The content of one member.
fn member(archive: &[u8], end: &str) -> Vec<u8> {
    let found = std::cell::RefCell::new(vec![]);
    repacked(archive, |path, content| {
        if path.ends_with(end) {
            *found.borrow_mut() = content.clone();
        }
        Some(content)
    });
    found.into_inner()
}

/// An archive with changed members.
fn repacked(archive: &[u8], change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut read = tar::Archive::new(archive);
    let mut members: Vec<(String, Vec<u8>)> = vec![];
    for entry in read.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = vec![];
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        members.extend(change(&path, content).map(|content| (path, content)));
    }
    let members: Vec<_> =
        members.iter().map(|(path, content)| (path.as_str(), tar::EntryType::Regular, content.as_slice())).collect();
    tarball(&members)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_archive_is_refused_with_the_reason_and_leaves_nothing() {
    let (_staffed, _, archive) = rolled_back().await;
    let lab = Lab::open().await;
    let file = tar::EntryType::Regular;
    let with = |name: &str, kind: tar::EntryType| {
        // The first member is checked first.
        [&tarball(&[(name, kind, b"")])[..512], &archive].concat()
    };
    let altered = |end: &'static str, from: &'static str, to: &'static str| {
        repacked(&archive, move |path, content| {
            if !path.ends_with(end) {
                return Some(content);
            }
            let text = String::from_utf8(content).unwrap();
            assert!(text.contains(from), "{path} has no {from}");
            Some(text.replacen(from, to, 1).into_bytes())
        })
    };
    let check = |name: &'static str, content: Vec<u8>, said: &'static str| {
        let lab = &lab;
        async move {
            let answer = lab.import("", content).await;
            let refusal = answer.json();
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "archive_invalid"), "{name}: {refusal}");
            assert!(
                refusal["message"].as_str().unwrap().contains(said) && refusal["hint"].is_string(),
                "{name}: {refusal}"
            );
            assert!(lab.is_empty().await, "{name} left something");
        }
    };
    check("absolute", with("/etc/passwd", file), "leads out").await;
    check("upwards", with("run/../../x", file), "leads out").await;
    check("link", with("run/link", tar::EntryType::Symlink), "Symlink").await;
    check("hard link", with("run/link", tar::EntryType::Link), "only regular files").await;
    check("device", with("run/null", tar::EntryType::Char), "only regular files").await;
    check("two folders", with("other/run.json", file), "another folder").await;
    check(
        "no manifest",
        repacked(&archive, |path, content| Some(content).filter(|_| !path.ends_with("manifest.json"))),
        "manifest.json is missing",
    )
    .await;
    check(
        "missing series",
        repacked(&archive, |path, content| Some(content).filter(|_| !path.ends_with("0.points"))),
        "is missing",
    )
    .await;
    check(
        "altered series",
        repacked(&archive, |path, mut content| {
            if path.ends_with("0.points") {
                content[20] ^= 1;
            }
            Some(content)
        }),
        "was altered",
    )
    .await;
    check("altered journal", altered("journal.jsonl", "\"number\":2", "\"number\":3"), "was altered").await;
    check("newer", altered("manifest.json", "\"format\": 2", "\"format\": 9"), "format 9").await;
    check("twice", [&archive[..archive.len() - 1024], &archive].concat(), "twice").await;
    check("cut", archive[..archive.len() / 2].to_vec(), "").await;
    let strange = tarball(&[("run/run.json", file, b"{}"), ("run/evil.sh", file, b"rm")]);
    check("unknown file", strange, "not a file of an archive").await;

    for (name, content) in [("nothing", vec![]), ("noise", vec![7; 5000]), ("a zip", b"PK\x03\x04rest of it".to_vec())]
    {
        let answer = lab.import("", content).await;
        assert!(answer.status == StatusCode::UNPROCESSABLE_ENTITY && answer.json()["hint"].is_string(), "{name}");
        assert!(lab.is_empty().await, "{name}");
    }
    // Archives that fit their manifest and still are not valid runs.
    for (name, end, from, to, said) in [
        ("numbers", "journal.jsonl", "\"number\":2", "\"number\":3", "number 3"),
        ("endless", "journal.jsonl", "\"segment\":1", "\"segment\":0", "opens segment"),
        ("shape", "run.json", "\"heads\": 2", "\"heads\": 0", "model.heads"),
    ] {
        check(name, resealed(&altered(end, from, to)), said).await;
    }
}

/// An archive with a manifest that fits its members.
fn resealed(archive: &[u8]) -> Vec<u8> {
    let members = std::cell::RefCell::new(vec![]);
    repacked(archive, |path, content| {
        let (_, below) = path.split_once('/').unwrap();
        if below != "manifest.json" {
            let hash = blake3::hash(&content).to_hex().to_string();
            members.borrow_mut().push(serde_json::json!({"path": below, "bytes": content.len(), "blake3": hash}));
            return Some(content);
        }
        let manifest = serde_json::json!({"format": 2, "kindling": "0", "members": *members.borrow()});
        Some(manifest.to_string().into_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_archive_reaches_no_run_and_no_dataset_of_another_project() {
    let (served, run, archive) = rolled_back().await;
    let hyperparameters = served.view_of(&run).await["hyperparameters"].clone();
    let lab = Lab::open().await;
    for project in ["alpha", "beta"] {
        let made = lab.post("/api/v1/projects", &lab.admin, &serde_json::json!({ "name": project }).to_string()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
    let mut secret = crate::run_table::run("secret-run", 1);
    secret.spec.project = Some("beta".into());
    lab.state.store().create_run(&secret).await.unwrap();
    let text = lab.upload("name=secret-text&project=beta", b"Once upon a time there was a secret.").await;
    assert_eq!(text.json()["id"], "secret-text", "{text:?}");
    let forged = |change: &dyn Fn(&mut Value)| {
        resealed(&repacked(&archive, |path, content| {
            if !path.ends_with("/run.json") {
                return Some(content);
            }
            let mut record: Value = serde_json::from_slice(&content).unwrap();
            change(&mut record);
            Some(record.to_string().into_bytes())
        }))
    };
    let fork = forged(&|record| {
        record["plan"]["origin"] = serde_json::json!({
            "from": { "run": "secret-run", "checkpoint": "0-0" }, "hyperparameters": hyperparameters, "best_valid": null
        });
    });
    let reader = forged(&|record| record["plan"]["mix"][0]["corpus"] = "secret-text".into());
    for (what, content) in [("parent secret-run", fork.clone()), ("dataset secret-text", reader.clone())] {
        for query in ["?project=alpha", ""] {
            let refused = lab.import(query, content.clone()).await;
            let answer = (refused.status, refused.code());
            assert_eq!(answer, (StatusCode::UNPROCESSABLE_ENTITY, "other_project".to_owned()), "{what}: {refused:?}");
            assert!(refused.json()["message"].as_str().unwrap().contains(what), "{refused:?}");
        }
    }
    let runs = lab.get("/api/v1/runs?deleted=true", &lab.view).await.json();
    assert_eq!((runs.as_array().unwrap().len(), &runs[0]["id"]), (1, &"secret-run".into()), "nothing was imported");
    for content in [fork, reader] {
        let same = lab.import("?project=beta", content).await;
        assert_eq!(same.status, StatusCode::CREATED, "in the project of the parent and the dataset: {same:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_or_a_cut_never_imports_another_run() {
    let (_staffed, run, archive) = rolled_back().await;
    let mut numbers = testing::Random::new(testing::seed(99));
    let mut random = move |below: usize| numbers.below(below as u64) as usize;
    let sound = Lab::open().await;
    sound.import("", archive.clone()).await;
    let expected = sound.get(&format!("/api/v1/runs/{run}/series.csv"), &sound.view).await.body;
    let lab = Lab::open().await;
    for case in 0..60 {
        let mut bytes = archive.clone();
        if case % 2 == 0 {
            bytes.truncate(random(archive.len() - 1024));
        } else {
            let at = random(archive.len());
            bytes[at] ^= 1 << random(8);
        }
        let answer = lab.import("", bytes).await;
        if answer.status != StatusCode::CREATED {
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{:?}", answer.json());
            continue;
        }
        // The bit was in padding or in a time.
        let id = answer.json()["summary"]["id"].as_str().unwrap().to_owned();
        let found = lab.get(&format!("/api/v1/runs/{id}/series.csv"), &lab.view).await.body;
        assert!(found == expected, "a flipped bit changed the run");
    }
    assert_eq!(std::fs::read_dir(lab.folder.path().join("incoming")).unwrap().count(), 0);
}

fn golden(name: &str, file: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/engine/tests/golden");
    std::fs::read(folder.join(name).join(file)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_model_can_be_forked_and_exported() {
    let served = LabWithWorker::open().await;
    let lab = &served.lab;
    let files = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| (name, golden("gpt2", name)));
    let [config, weights, tokenizer] = &files;
    let form = |files: &[&(&'static str, Vec<u8>)]| {
        files.iter().map(|(name, content)| (*name, content.clone())).collect::<Vec<_>>()
    };
    let import = |files: Vec<(&'static str, Vec<u8>)>| async move {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
        lab.import_files(&files).await
    };
    for (files, said) in [
        (form(&[config, tokenizer]), "model.safetensors"),
        (form(&[config, weights]), "tokenizer.json"),
        (form(&[config, &("pytorch_model.bin", b"\x80\x02}q\x00.".to_vec())]), "pickle"),
        (form(&[config, &("model.safetensors", weights.1[..1000].to_vec()), tokenizer]), "truncated"),
    ] {
        let refused = import(files).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (422, "model_refused"), "{said}");
        assert!(refused.json()["message"].as_str().unwrap().contains(said) && refused.json()["hint"].is_string());
    }
    assert_eq!(lab.get("/api/v1/runs", &lab.view).await.json(), serde_json::json!([]), "nothing was imported");

    let answer = import(form(&[config, weights, tokenizer])).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
    let view = answer.json();
    let id = view["summary"]["id"].as_str().unwrap();
    assert_eq!((view["summary"]["state"].as_str(), view["summary"]["step"].as_u64()), (Some("finished"), Some(0)));
    assert_eq!(view["plan"]["recipe"]["model"]["vocab"].as_u64(), Some(290));
    let saved = lab.get(&format!("/api/v1/runs/{id}/checkpoints"), &lab.view).await.json();
    assert_eq!((saved[0]["info"]["cause"].as_str(), saved[0]["info"]["id"].as_str()), (Some("imported"), Some("0-0")));

    let exported = lab.get(&format!("/api/v1/runs/{id}/checkpoints/0-0/export"), &lab.view).await;
    assert_eq!(exported.status, StatusCode::OK);
    let back = lab.import("?name=back", exported.body.clone()).await;
    assert_eq!(
        (back.status, back.json()["summary"]["name"].as_str()),
        (StatusCode::CREATED, Some("back")),
        "{:?}",
        back.json()
    );
    let other = back.json()["summary"]["id"].as_str().unwrap().to_owned();
    let again = lab.get(&format!("/api/v1/runs/{other}/checkpoints/0-0/export"), &lab.view).await;
    let weights = member(&exported.body, "model.safetensors");
    assert!(
        !weights.is_empty() && member(&again.body, "model.safetensors") == weights,
        "the export of the import is the same"
    );
    assert_eq!(
        lab.get(&format!("/api/v1/runs/{id}/checkpoints/0-9/export"), &lab.view).await.code(),
        "checkpoint_gone"
    );

    let fork = |more: &str| lab_fork(lab, id, more.to_owned());
    let alone = fork("").await;
    assert_eq!((alone.code().as_str(), alone.json()["field"].as_str()), ("plan_invalid", Some("corpus")));
    let forked = fork(r#", "corpus": "play", "steps": 5"#).await;
    assert_eq!(forked.status, StatusCode::CREATED, "{:?}", forked.json());
    let child = forked.json()["summary"]["id"].as_str().unwrap().parse().unwrap();
    let ended = served.reaches(&child, "finished").await;
    assert_eq!(
        (ended["plan"]["mix"][0]["corpus"].as_str(), ended["summary"]["step"].as_u64()),
        (Some("play"), Some(5))
    );
    let play = lab.get("/api/v1/corpora/play", &lab.view).await.json();
    assert_eq!(play["datasets"][0]["tokenizer"], view["plan"]["tokenizer"], "tokenized with the imported tokenizer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_queued_before_any_device_has_reported() {
    let lab = Lab::open().await;
    let files = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| (name, golden("gpt2", name)));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
    let parent = lab.import_files(&files).await.json()["summary"]["id"].as_str().unwrap().to_owned();
    let text = "to be or not to be\n".repeat(500);
    assert_eq!(lab.upload("name=play", text.as_bytes()).await.status, StatusCode::CREATED);
    for (device, planned) in [
        ("", "cpu"),
        (r#", "device": "cpu""#, "cpu"),
        (r#", "device": "gpu""#, "gpu"),
        (r#", "device": "vulkan-0""#, "vulkan-0"),
        (r#", "device": "far-vulkan-3""#, "far-vulkan-3"),
    ] {
        let forked = lab_fork(&lab, &parent, format!(r#", "corpus": "play", "steps": 5{device}"#)).await;
        assert_eq!(forked.status, StatusCode::CREATED, "{device}: {:?}", forked.json());
        let view = forked.json();
        assert_eq!((&view["summary"]["state"], &view["plan"]["device"]), (&"queued".into(), &planned.into()), "{view}");
        let reason = view["summary"]["message"].as_str().unwrap_or_default();
        assert!(reason.starts_with("waits for") && reason.contains(planned), "{device}: {reason}");
        let plan = format!(r#"{{"parent": {{"run": "{parent}"}}, "corpus": "play", "steps": 5{device}}}"#);
        assert_eq!(lab.post("/api/v1/plan", &lab.steer, &plan).await.status, StatusCode::OK, "{device}");
    }
}

/// A tar file of these files, below a folder.
fn tar_of(folder: &str, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(vec![]);
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("{folder}/{name}"), content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trainer_folder_is_imported_without_the_files_that_are_not_needed() {
    let lab = Lab::open().await;
    let golden = |name: &str| golden("models/llama-lightning", name);
    let mut files = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
        .map(|name| (name, golden(name)))
        .to_vec();
    files
        .extend(["optimizer.pt", "rng_state.pth", "training_args.bin"].map(|name| (name, b"\x80\x02}q\x00.".to_vec())));
    files.push(("onnx/config.json", b"{}".to_vec()));
    let form: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
    for answer in [lab.import_files(&form).await, lab.import("", tar_of("checkpoint-500", &files)).await] {
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.json());
        let id = answer.json()["summary"]["id"].as_str().unwrap().to_owned();
        let journal = lab.get(&format!("/api/v1/runs/{id}/events"), &lab.view).await.json().to_string();
        for said in ["Llama", "optimizer.pt", "training_args.bin", "onnx/config.json", "ignored", "model.", "stripped"]
        {
            assert!(journal.contains(said), "{said}: {journal}");
        }
        assert!(!journal.contains("tokenizer.json"), "{journal}");
    }
}

async fn lab_fork(lab: &Lab, parent: &str, more: String) -> Answer {
    lab.post("/api/v1/runs", &lab.steer, &format!(r#"{{"parent": {{"run": "{parent}"}}{more}}}"#)).await
}
