//! Conversations with the assistant: each author has their own, and they end with their project.

use std::collections::BTreeSet;

use store::{Store, StoreError};
use wire::access::ProjectLimits;
use wire::assistant::{Entry, PageContext};

fn asked(text: &str) -> Entry {
    Entry::Asked { text: text.into(), context: PageContext::default(), at_ms: 1 }
}

#[tokio::test]
async fn a_conversation_is_stored_for_its_author_and_ends_with_its_project() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    store.add_project("side", &ProjectLimits::default()).await.unwrap();
    let id = store.add_conversation("person:1", "side").await.unwrap();
    let mut stored = store.conversation("person:1", id, 0).await.unwrap().unwrap();
    assert_eq!((stored.total, stored.entries.len(), stored.summary.project.as_str()), (0, 0, "side"));
    stored.summary.title = "first".into();
    let datasets = BTreeSet::from(["tales".to_owned()]);
    let entries = [asked("a"), Entry::Answered { text: "b".into() }, asked("c")];
    assert!(store.save_conversation(&stored.summary, &datasets, 0, &entries).await.unwrap());
    assert!(store.save_conversation(&stored.summary, &datasets, 2, &[asked("d")]).await.unwrap());
    store.close().await;

    let store = Store::open(dir.path()).await.unwrap();
    let found = store.conversation("person:1", id, 1).await.unwrap().unwrap();
    assert_eq!(found.entries, [entries[1].clone(), asked("d")], "an entry is replaced by its number");
    assert_eq!((found.total, found.datasets, found.summary.title.as_str()), (3, datasets.clone(), "first"));
    assert_eq!(store.conversation("person:2", id, 0).await.unwrap(), None);
    assert!(!store.delete_conversation("person:2", id).await.unwrap());
    assert!(store.conversations("person:2", 10).await.unwrap().is_empty());
    let other = store.add_conversation("person:1", "default").await.unwrap();
    let listed: Vec<i64> = store.conversations("person:1", 10).await.unwrap().iter().map(|one| one.id).collect();
    assert_eq!(listed, [other, id], "newest first");

    store.remove_project("side").await.unwrap();
    assert_eq!(store.conversation("person:1", id, 0).await.unwrap(), None);
    assert!(!store.save_conversation(&stored.summary, &datasets, 0, &entries).await.unwrap(), "it stays deleted");
    assert!(store.delete_conversation("person:1", other).await.unwrap());
}

#[tokio::test]
async fn a_dataset_is_protected_until_the_protection_ends() -> Result<(), StoreError> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await?;
    store.set_protected("tales", true).await?;
    store.set_protected("tales", true).await?;
    assert_eq!(store.protected_datasets().await?, BTreeSet::from(["tales".to_owned()]));
    store.set_protected("tales", false).await?;
    assert_eq!(store.protected_datasets().await?, BTreeSet::new());
    Ok(())
}
