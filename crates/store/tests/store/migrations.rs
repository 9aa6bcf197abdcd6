//! Migrations that landed stay as they are, because labs have applied them; a later one gives stored findings their labels.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use store::Store;
use wire::diagnosis::Level;

use crate::alerts::found;
use crate::format::{copy, fixtures};

/// The scripts that landed, in the order of the migrations, with their BLAKE3.
const LANDED: [(&str, &str); 24] = [
    ("1.sql", "27e84db1fb542822ecb2180b62d7687e372a06b9ffd3e1bb69affb4a3ad66b30"),
    ("pools.sql", "10b298087711d42c1438470b941393704ff8979908e2b8bd9bc20960246740c3"),
    ("telemetry.sql", "fb308ddacfe97bbe17342eb1a20216eeaf8c1f63baee818a7b09dca2c8d8cb54"),
    ("tags.sql", "7256dbb552f5fbed392f13668a46f164b3bfb9c90998012eebb3a521a8299535"),
    ("people.sql", "191637c87489c016e333be5c1998eef05c6151ade84c51e5df342a4c5db5eb72"),
    ("slots.sql", "ff15a074172799feb0523a96cd6f88124462e0c276277ad47d3ed4f01695f357"),
    ("shares.sql", "1ff7ed68931fb7a318a4ef6d47b0a2f359629e10afbdf396315fe60b23daeed1"),
    ("removed_accounts.sql", "ffd9b36f17bd73d355dfe63466c23e625d05edb3beb81b251c0ee7e30a0f2997"),
    ("diagnosis.sql", "efdb10c413be106da5fe5c386368b876f95792bb8676132a6acc728539626c12"),
    ("alerts.sql", "8c15bbac10a28d5033af23c4de677b276dce5ea43ab538951d626b48665c0534"),
    ("revision.sql", "6af2dbbdf5bbd37cea7348462e8acc6c1c61d56e0330c998dee61fcdf4545885"),
    ("tasks.sql", "e1b95d0841b0c0c3abdac492667a99fc9d6ee2a252c5febfa5eebee6083ab028"),
    ("finding_labels.sql", "6391442ffe972795e874aac6086f280cabbb0443fb4faa5e7c30d64b4c8249c4"),
    ("conditions.sql", "d31099fd6e932e512f06a50c0ad18b6dfb7aa5f799dfe5c9db2aa43fbdfeef35"),
    ("sweeps.sql", "644e3521d291fde1c88208ba00897573d22a338187be58efaf101a2fdf36ccec"),
    ("experiments.sql", "ca2df698bf3e3f35c30a22dd8def739245781edf8de9dcb410305b9c019f10ee"),
    ("research_journal.sql", "c44ce3279af274867619df74dd501458783accea0c82feebbf4e1e30174779f0"),
    ("agent_acts.sql", "856ee00cd53629191bbefd4773134ccce39065fe15fdaee8907cc65ed2d2cff0"),
    ("research_loops.sql", "8e96f5b85638b5e896424b4eec6b1f256fc2909392ba53d5d469ec09b7120971"),
    ("agent_limits.sql", "4c4b3c27351ca8b1d883005174ff362c467160fc337eb0826107dcf5b3736e7b"),
    ("proposals.sql", "52c73931714ce56a88743f5c6b1bd30a9a66aacb0e1b19faedda93333bb7cf7b"),
    ("conversations.sql", "6acc9f1e5196c51ba015402928cc1f1c4e747c354555e2fccdbdbc6cf7acd263"),
    ("oauth.sql", "75f817f52fcc613527adc79757cbb8e02803f4be69b4920e931cb48e0f1be226"),
    ("conversation_facts.sql", "3b7ce9bc2d0c6c99755d7d6310cf30ac1b8dfd8f285a2945f2081ec3cc8a0da7"),
];
/// The first migrations as one script, for a new folder. No lab applies it twice, and another test compares its schema with theirs.
const FRESH: &str = "fresh.sql";

#[test]
fn a_migration_that_landed_does_not_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let landed = BTreeMap::from(LANDED);
    let mut found = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == FRESH {
            continue;
        }
        let hash = blake3::hash(&fs::read(&path).unwrap()).to_hex();
        let Some(known) = landed.get(name) else {
            panic!("{name} is not in LANDED: add (\"{name}\", \"{hash}\") at its end when the migration is complete");
        };
        assert_eq!(
            hash.as_str(),
            *known,
            "{name} has changed, and labs that have applied it would not get the change: restore it, and add a new              migration at the end of the list in database.rs instead"
        );
        found += 1;
    }
    assert_eq!(found, LANDED.len(), "a migration that landed was deleted: restore it");
}

#[tokio::test]
async fn findings_from_before_they_had_labels_get_those_of_their_rules() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("lab-1"), dir.path());
    let options = SqliteConnectOptions::new().filename(dir.path().join("lab.db"));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    // The lab of the fixture has the first migration.
    let before = LANDED.iter().position(|(name, _)| *name == "finding_labels.sql").unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let scripts = LANDED[1..before].iter().map(|(name, _)| fs::read_to_string(migrations.join(name)).unwrap());
    let version = format!("PRAGMA user_version = {before}");
    for script in scripts.chain([version]) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut database).await.unwrap();
    }
    for (number, rule) in (1i64..).zip(["loss_spike", "epochs", "dead_neurons"]) {
        let finding = found(rule, "", Level::Note, 3).found[0].finding.clone();
        let sql = "INSERT INTO findings (run, number, segment, rule, subject, level, step, finding, sentence, at_ms) \
                   VALUES ('amber-fox-7k2q', ?, 0, ?, '', 'note', 3, ?, 'Seen.', 0)";
        let insert = sqlx::query(sql).bind(number).bind(rule).bind(serde_json::to_string(&finding).unwrap());
        insert.execute(&mut database).await.unwrap();
    }
    database.close().await.unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let findings = store.findings(&"amber-fox-7k2q".parse().unwrap()).await.unwrap();
    let labels: Vec<String> = findings.into_iter().map(|stored| stored.found.label).collect();
    assert_eq!(labels, ["Loss spike", "Repeated data", "Dead neurons"]);
}
