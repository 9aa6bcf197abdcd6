//! A guest of a link who follows a presentation.

use std::time::Instant;

use axum::body::Body;
use axum::http::StatusCode;
use wire::encode;
use wire::transport::live::{FromPage, Poll, ToPage};
use wire::transport::presenting::PresenterState;

use super::{LINKS, create, fox, open, open_link};
use crate::lab::{Lab, WITHIN, ask};

/// A page that polls, with the messages that it has not looked at yet.
struct PollingPage<'a> {
    lab: &'a Lab,
    header: (&'static str, String),
    received: Vec<ToPage>,
}

impl<'a> PollingPage<'a> {
    async fn open(lab: &'a Lab, header: (&'static str, String)) -> Self {
        let mut page = Self { lab, header, received: vec![] };
        page.poll(true, vec![]).await;
        page
    }

    async fn poll(&mut self, begins: bool, messages: Vec<FromPage>) -> StatusCode {
        let body = encode::to_bytes(&Poll { page: 1, begins, messages }).unwrap();
        let request = ask("POST", "/api/v1/live/poll", None).header(self.header.0, &self.header.1);
        let answer = self.lab.send(request.body(Body::from(body)).unwrap()).await;
        if answer.status == StatusCode::OK {
            self.received.extend(encode::from_bytes::<Vec<ToPage>>(&answer.body).unwrap());
        }
        answer.status
    }

    async fn present(&mut self, path: &str) {
        self.poll(false, vec![FromPage::Present { presentation: 5, state: state(path) }]).await;
    }

    /// Polls until a message has come, and forgets those before it. Some messages come at most once per second.
    async fn until(&mut self, is_wanted: impl Fn(&ToPage) -> bool) {
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            if let Some(at) = self.received.iter().position(&is_wanted) {
                self.received.drain(..=at);
                return;
            }
            self.poll(false, vec![]).await;
        }
        panic!("{:?}", self.received);
    }

    async fn sees(&mut self, expected: PresenterState) {
        self.until(|message| matches!(message, ToPage::Presenter { state, .. } if *state == expected)).await;
    }
}

fn state(path: &str) -> PresenterState {
    PresenterState { path: Some(path.into()), step: Some(3), ..PresenterState::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_follow_a_presenter_over_polls() {
    let lab = open().await;
    let (link, text) = create(&lab, &fox()).await;
    let cookie = open_link(&lab, &text, None).await;
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let mut presenter = PollingPage::open(&lab, bearer(&lab.steer)).await;
    let mut guest = PollingPage::open(&lab, ("cookie", cookie)).await;
    presenter.present("/runs/fox").await;
    let is_listed = |message: &ToPage| matches!(message, ToPage::Presentations { presentations } if presentations.iter().any(|one| one.id == 5 && one.presenter == "ada"));
    guest.until(is_listed).await;
    guest.poll(false, vec![FromPage::Follow { presentation: 5 }]).await;
    guest.sees(state("/runs/fox")).await;
    presenter.present("/runs/fox/xray").await;
    guest.sees(state("/runs/fox/xray")).await;
    let is_guest = |message: &ToPage| matches!(message, ToPage::Watchers { names, total: 1, .. } if names[0].starts_with("guest "));
    presenter.until(is_guest).await;
    presenter.present("/runs/owl").await;
    guest.sees(PresenterState::hidden()).await;
    presenter.poll(false, vec![FromPage::StopPresenting]).await;
    guest.until(|message| matches!(message, ToPage::PresentationEnded { presentation: 5 })).await;

    presenter.present("/runs/fox").await;
    guest.until(is_listed).await;
    let mut other = PollingPage::open(&lab, bearer(&lab.view)).await;
    other.present("/").await;
    other.until(|message| matches!(message, ToPage::Refused { .. })).await;
    guest.poll(false, vec![FromPage::Present { presentation: 6, state: state("/runs/fox") }]).await;
    guest.until(|message| matches!(message, ToPage::Refused { .. })).await;
    assert_eq!(lab.delete(&format!("{LINKS}/{}", link["id"]), &lab.steer).await.status, StatusCode::NO_CONTENT);
    assert_eq!(guest.poll(false, vec![]).await, StatusCode::UNAUTHORIZED);
}
