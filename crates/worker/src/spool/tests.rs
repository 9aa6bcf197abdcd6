//! Tests of a spool: records, damage, versions and reads.

use super::*;
use wire::series::Row;

fn item(step: u64) -> Item {
    Item::Row(Row { segment: 0, step, values: vec![("loss.train".into(), step as f64); (step % 3) as usize] })
}

fn run() -> RunId {
    "amber-fox-7k2q".parse().unwrap()
}

fn all(spool: &mut Spool, from: u64, limit: usize) -> Vec<(u64, Item)> {
    let (mut next, mut found) = (from, vec![]);
    while let Some(records) = spool.read(next, Limit { records: limit, bytes: 1 << 20 }).unwrap() {
        let items = records.decode(Path::new("")).unwrap();
        assert!(!items.is_empty() && items.len() <= limit && records.first_seq >= next);
        found.extend((records.first_seq..).zip(items));
        next = found.last().unwrap().0 + 1;
    }
    found
}

fn filled(root: &Path, count: u64) -> Spool {
    let mut spool = Spool::open(root, &run()).unwrap();
    for step in 1..=count {
        assert_eq!(spool.append(&item(step)).unwrap(), step);
    }
    spool
}

#[test]
fn reports_are_read_from_any_number_also_after_reopening() {
    let root = tempfile::tempdir().unwrap();
    let mut spool = filled(root.path(), 1000);
    for is_reopened in [false, true] {
        if is_reopened {
            spool = Spool::open(root.path(), &run()).unwrap();
            assert_eq!(spool.last(), 1000);
        }
        for (from, limit) in [(0, 7), (1, 1000), (2, 999), (256, 256), (257, 300), (700, 1), (1000, 5), (1001, 5)] {
            let expected: Vec<_> = (from.max(1)..=1000).map(|seq| (seq, item(seq))).collect();
            assert_eq!(all(&mut spool, from, limit), expected, "from {from}, {limit} at a time");
        }
    }
}

#[test]
fn a_file_torn_anywhere_keeps_its_complete_records_and_continues() {
    let root = tempfile::tempdir().unwrap();
    let spool = filled(root.path(), 12);
    let path = spool.path().to_owned();
    let whole = fs::read(&path).unwrap();
    let mut ends = vec![MAGIC.len()];
    ends.extend((1..=12).scan(MAGIC.len(), |end, seq| {
        *end += record(seq, &wire::encode::to_bytes(&item(seq)).unwrap()).len();
        Some(*end)
    }));
    for length in 0..=whole.len() {
        for garbage in [&b""[..], &[0; 64], &[0xff; 64]] {
            let torn = [&whole[..length], garbage].concat();
            fs::write(&path, &torn).unwrap();
            // Garbage may equal the lost bytes.
            let intact = torn.iter().zip(&whole).take_while(|(a, b)| a == b).count();
            let kept = (ends.iter().filter(|end| **end <= intact).count() as u64).saturating_sub(1);
            let mut spool = Spool::open(root.path(), &run()).unwrap();
            assert_eq!(spool.last(), kept, "cut at {length}");
            assert_eq!(spool.append(&item(77)).unwrap(), kept + 1);
            let mut expected: Vec<_> = (1..=kept).map(|seq| (seq, item(seq))).collect();
            expected.push((kept + 1, item(77)));
            assert_eq!(all(&mut Spool::open(root.path(), &run()).unwrap(), 1, 5), expected, "cut at {length}");
        }
    }
}

#[test]
fn a_flipped_bit_is_never_read_as_a_report() {
    let root = tempfile::tempdir().unwrap();
    let path = filled(root.path(), 6).path().to_owned();
    let whole = fs::read(&path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let mut spool = Spool::open(root.path(), &run()).unwrap();
        let found = all(&mut spool, 1, 10);
        assert!(
            found.len() < 6 && found.iter().zip(1..).all(|((seq, read), n)| *seq == n && *read == item(n)),
            "bit {bit}"
        );
    }
}

#[test]
fn a_read_has_bounded_bytes_and_at_least_one_report() {
    let root = tempfile::tempdir().unwrap();
    let mut spool = filled(root.path(), 9);
    let weights: Vec<usize> = (1..=9).map(|step| wire::encode::to_bytes(&item(step)).unwrap().len()).collect();
    for bytes in [0, 1, weights[0], weights[0] + 1, weights[..4].iter().sum(), 10_000] {
        let read = spool.read(1, Limit { records: 7, bytes }).unwrap().unwrap();
        let expected = (1..=7).find(|count| weights[..*count].iter().sum::<usize>() >= bytes).unwrap_or(7);
        assert_eq!(read.payloads.len(), expected, "{bytes} bytes of {weights:?}");
    }
    assert_eq!(all(&mut spool, 1, 9).len(), 9);
}

#[test]
fn numbers_skip_ahead_where_the_server_has_more() {
    let root = tempfile::tempdir().unwrap();
    let mut spool = filled(root.path(), 3);
    spool.skip_to(10);
    assert_eq!(spool.append(&item(11)).unwrap(), 11);
    spool = Spool::open(root.path(), &run()).unwrap();
    let numbers: Vec<u64> = all(&mut spool, 1, 10).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(numbers, [1, 2, 3, 11]);
}

#[test]
fn a_disk_that_cannot_be_written_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let blocking_file = root.path().join(run().as_str());
    fs::write(&blocking_file, "a file in place of the folder").unwrap();
    let mut spool = Spool::open_or_defer(root.path(), &run());
    for step in 1..=5 {
        spool.append(&item(step)).unwrap();
    }
    assert!(spool.failure().is_some());
    let expected: Vec<_> = (1..=5).map(|seq| (seq, item(seq))).collect();
    assert_eq!(all(&mut spool, 1, 2), expected, "still there to be sent");
    fs::remove_file(&blocking_file).unwrap();
    assert!(spool.flush() && spool.failure().is_none());
    assert_eq!(all(&mut Spool::open(root.path(), &run()).unwrap(), 1, 2), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(run().as_str())).unwrap();
    std::os::unix::fs::symlink("/dev/full", root.path().join(run().as_str()).join("log")).unwrap();
    let mut spool = Spool::open_or_defer(root.path(), &run());
    spool.append(&item(1)).unwrap();
    assert!(spool.failure().unwrap().to_string().contains("No space left"), "{:?}", spool.failure());
    assert_eq!(all(&mut spool, 1, 2), [(1, item(1))]);
}

#[test]
fn reports_of_earlier_workers_are_found() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path(), 2);
    Spool::open(root.path(), &"empty-run".parse().unwrap()).unwrap();
    fs::create_dir(root.path().join("No Run")).unwrap();
    let found: Vec<(RunId, u64)> = unsent(root.path()).into_iter().map(|(run, spool)| (run, spool.last())).collect();
    assert_eq!(found, [(run(), 2)]);
    assert!(!root.path().join("empty-run").exists());
    assert!(unsent(&root.path().join("nowhere")).is_empty());
}

#[test]
fn a_removed_spool_is_not_created_again() {
    let root = tempfile::tempdir().unwrap();
    let mut spool = filled(root.path(), 2);
    spool.remove().unwrap();
    assert!(spool.flush() && spool.unsynced().is_none());
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_spool_of_another_version_is_refused_and_not_changed() {
    let root = tempfile::tempdir().unwrap();
    let path = filled(root.path(), 3).path().to_owned();
    let whole = fs::read(&path).unwrap();
    let later = [&MAGIC[..6], &[FORMAT + 1, !(FORMAT + 1)], &whole[8..]].concat();
    // The development versions before the first format had no magic.
    let earlier = whole[8..].to_vec();
    for (bytes, format) in [(later, FORMAT + 1), (earlier, 0)] {
        fs::write(&path, &bytes).unwrap();
        let error = Spool::open(root.path(), &run()).unwrap_err();
        assert!(matches!(error, SpoolError::Version { found, .. } if found == format), "{error}");
        assert!(error.to_string().contains("another version of Kindling"), "{error}");
        assert!(unsent(root.path()).is_empty());
        let mut spool = Spool::open_or_defer(root.path(), &run());
        spool.append(&item(1)).unwrap();
        assert!(matches!(spool.failure(), Some(SpoolError::Version { .. })));
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}
