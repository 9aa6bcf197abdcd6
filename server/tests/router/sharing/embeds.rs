//! Embeds: one chart or inspection on pages of other sites.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use wire::RunId;
use wire::inspect::request::{Inspection, InspectionText};
use wire::inspect::result::{HeatMap, InspectionResult};
use wire::inspect::update::{InspectionOverhead, InspectionUpdate};
use wire::series::Row;
use wire::transport::link::Item;

use super::{LINKS, create, embed, fox, get, open, send, text_of, with};
use crate::lab::ask;

fn row(step: u64) -> Item {
    Item::Row(Row { segment: 0, step, values: vec![("loss.train".into(), 3.0 - step as f64 / 100.0)] })
}

fn attention(step: u64) -> Item {
    let result = InspectionResult::Attention {
        tokens: vec!["a".into(), " b".into()],
        patterns: vec![HeatMap::of(2, 2, &[1.0, 0.0, 0.25, 0.75])],
        heads: vec![],
    };
    let inspection = Inspection::Attention { text: InspectionText::default(), layer: 0 };
    let overhead = InspectionOverhead::default();
    Item::Snapshot(Box::new(InspectionUpdate::Result { step, segment: 0, inspection, result, overhead }))
}

#[tokio::test]
async fn an_embed_shows_its_chart_on_any_site_and_opens_nothing_else() {
    let lab = open().await;
    let (_, text) = create(&lab, &embed("/runs/fox")).await;
    let (_, share) = create(&lab, &fox()).await;
    let page = get(&lab, &format!("/embed/{text}?theme=dark")).await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors *") && policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !page.headers.contains_key("x-frame-options"));
    assert_eq!(page.headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert!(!page.headers.contains_key("set-cookie"));
    let html = text_of(&page);
    assert!(html.contains("data-theme=dark") && !html.contains("<a ") && !html.contains("://"), "{html}");
    for asset in ["/embed/embed.js", "/embed/embed.css"] {
        let asset = get(&lab, asset).await;
        assert_eq!(
            (asset.status, &asset.headers["cross-origin-resource-policy"]),
            (StatusCode::OK, &"cross-origin".parse().unwrap())
        );
    }
    // A cookie and a token add nothing, and the text of the embed is no token.
    for path in ["/api/v1/runs/fox", "/api/v1/live", "/api/v1/me", "/api/v1/runs/fox/figures/loss.svg"] {
        assert_eq!(lab.get(path, &text).await.code(), "unauthorized", "{path}");
    }
    for (method, path) in [
        ("GET", format!("/share/{text}")),
        ("POST", format!("/share/{text}")),
        ("GET", format!("/embed/{share}")),
        ("GET", format!("/embed/{share}/image.svg")),
    ] {
        assert_eq!(send(&lab, method, &path, None, "").await.status, StatusCode::GONE, "{method} {path}");
    }
    for file in ["image.jpg", "loss.svg", "image"] {
        assert_eq!(get(&lab, &format!("/embed/{text}/{file}")).await.status, StatusCode::NOT_FOUND, "{file}");
    }
    for path in ["/", "/share/0123", "/api/v1/me", "/healthz", "/embed"] {
        let other = get(&lab, path).await;
        assert!(
            other.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(
            (&other.headers["x-frame-options"], &other.headers["cross-origin-resource-policy"]),
            (&"DENY".parse().unwrap(), &"same-origin".parse().unwrap()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_image_changes_with_its_run_and_is_sent_once() {
    let lab = open().await;
    let fox_id: RunId = "fox".parse().unwrap();
    let (link, text) = create(&lab, &embed("/runs/fox")).await;
    let path = format!("/embed/{text}/image.svg");
    let image = async |path: &str, etag: Option<&str>| {
        let mut request = ask("GET", path, None);
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        lab.send(request.body(Body::empty()).unwrap()).await
    };
    let empty = image(&path, None).await;
    assert!(text_of(&empty).contains("no values of this series yet"), "{}", text_of(&empty));
    lab.state.store().ingest(&fox_id, 1, (0..50).map(row).chain([attention(0)]).collect()).await.unwrap();
    lab.state.feed.publish_summary(&fox_id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let first = image(&path, None).await;
    assert_eq!((first.status, &first.headers["content-type"]), (StatusCode::OK, &"image/svg+xml".parse().unwrap()));
    assert_eq!(first.headers["cache-control"], "no-cache");
    assert_eq!(first.headers["cross-origin-resource-policy"], "cross-origin");
    assert_eq!(first.headers["kindling-refresh"], "30", "a queued run");
    assert!(text_of(&first).contains("fox: loss"));
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let known = image(&path, Some(&format!("\"x\", W/{etag}"))).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(known.headers["etag"], etag.as_str());
    lab.state.store().ingest(&fox_id, 52, (50..60).map(row).collect()).await.unwrap();
    lab.state.feed.publish_summary(&fox_id).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let newer = image(&path, Some(&etag)).await;
    assert_eq!(newer.status, StatusCode::OK);
    assert_ne!(newer.headers["etag"], etag.as_str());
    assert_eq!(lab.get(LINKS, &lab.steer).await.json()[0]["opened"], 4);
    assert!(link["path"] == "/runs/fox");

    let png = image(&format!("/embed/{text}/image.png?theme=dark&width=300&height=200"), None).await;
    if png.status == StatusCode::OK {
        assert_eq!(&png.body[..4], b"\x89PNG");
    }
    for (path, title) in [
        ("/runs/fox/xray?view=attention&layer=0&head=0", "fox: attention, block 0, head 0"),
        ("/runs/fox/xray?view=logit_lens", "The run has kept no snapshot of this inspection yet."),
        ("/runs/fox?chart=grad_norm", "no values of this series yet"),
    ] {
        let (_, text) = create(&lab, &embed(path)).await;
        let drawn = image(&format!("/embed/{text}/image.svg"), None).await;
        assert!(text_of(&drawn).contains(title), "{path}: {}", text_of(&drawn));
    }
    let both = with(embed("/compare?runs=fox,owl"), json!({ "scope": { "runs": ["fox", "owl"] } }));
    let (_, text) = create(&lab, &both).await;
    assert!(text_of(&image(&format!("/embed/{text}/image.svg"), None).await).contains(">fox<"));
    lab.delete("/api/v1/runs/fox", &lab.steer).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(image(&path, None).await.status, StatusCode::GONE, "a deleted run is shown no longer");
}

#[tokio::test]
async fn a_reader_who_must_wait_gets_a_page_in_the_frame() {
    let lab = open().await;
    let peer: std::net::SocketAddr = "192.0.2.1:4000".parse().unwrap();
    let guess = async |number: u32| {
        let request = ask("GET", &format!("/embed/{number}"), None).extension(axum::extract::ConnectInfo(peer));
        lab.send(request.body(Body::empty()).unwrap()).await
    };
    for number in 0..5 {
        assert_eq!(guess(number).await.status, StatusCode::GONE);
    }
    let waits = guess(5).await;
    assert_eq!((waits.status, &waits.headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"1".parse().unwrap()));
    assert_eq!(waits.headers["content-type"], "text/html; charset=utf-8");
    assert!(text_of(&waits).contains("too many attempts have failed; try again in 1 s."), "{}", text_of(&waits));
}
