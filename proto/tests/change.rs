//! The changes that popmesh writes are those that Automerge itself would make.
#![allow(clippy::unwrap_used, reason = "a test that panics fails, as it should")]

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{
    ActorId, Automerge, AutomergeError, Change, ChangeHash, ObjType, PatchLog, ROOT, ReadDoc, ScalarValue,
};
use popmesh_proto::change::{self, ChangeParts, RUN};
use popmesh_proto::clock::Hlc;
use proptest::prelude::*;

/// Automerge's own change for a record, made on the author's own chain alone.
fn automerge_change(
    document: &mut Automerge,
    device: &[u8; 32],
    actor: &[u8; 16],
    seq: u64,
    previous: Option<[u8; 32]>,
    time: i64,
    record: &[u8],
) -> Change {
    document.set_actor(ActorId::from(*actor));
    let run = (seq - 1) / RUN;
    let name = format!("{}/{}.{run}", hex::encode(device), hex::encode(actor));
    let heads: Vec<ChangeHash> = previous.into_iter().map(ChangeHash).collect();
    let mut transaction = document.transaction_at(PatchLog::inactive(), &heads).unwrap();
    let made: Result<(), AutomergeError> = (|| {
        let map = if (seq - 1).is_multiple_of(RUN) {
            transaction.put_object(ROOT, &name, ObjType::Map)?
        } else {
            transaction.get(ROOT, &name)?.map(|(_, id)| id).ok_or(AutomergeError::Fail)?
        };
        transaction.put(&map, format!("{:02x}", (seq - 1) % RUN), ScalarValue::Bytes(record.to_vec()))
    })();
    made.unwrap();
    let (hash, _) = transaction.commit_with(CommitOptions::default().with_time(time));
    document.get_change_by_hash(&hash.unwrap()).unwrap().clone()
}

fn compare(chains: &[([u8; 32], [u8; 16])], records: &[(usize, Vec<u8>, i64)]) {
    // A document each: Automerge numbers operations after all that it knows, not only those of the chain.
    let mut documents = vec![Automerge::new(); chains.len()];
    let mut tips: Vec<(u64, Option<[u8; 32]>)> = vec![(0, None); chains.len()];
    let mut all = Vec::new();
    for (chain, record, time) in records {
        let (device, actor) = &chains[*chain];
        let (seq, previous) = tips[*chain];
        let seq = seq + 1;
        let theirs = automerge_change(&mut documents[*chain], device, actor, seq, previous, *time, record);
        let parts = ChangeParts { device, actor, seq, previous: previous.as_ref(), time: *time, record };
        let mut ours = Vec::new();
        change::encode(&parts, &mut ours);
        assert_eq!(hex::encode(&ours), hex::encode(theirs.raw_bytes()), "change {seq}");
        let hash = change::hash(&parts, &mut Vec::new());
        assert_eq!(hash, theirs.hash().0);
        tips[*chain] = (seq, Some(hash));
        all.push(ours);
    }
    let mut rebuilt = Automerge::new();
    rebuilt.apply_changes(all.into_iter().map(|bytes| Change::from_bytes(bytes).unwrap())).unwrap();
    let loaded = Automerge::load(&rebuilt.save()).unwrap();
    for (at, (device, actor)) in chains.iter().enumerate() {
        for (index, (_, record, _)) in records.iter().filter(|(chain, ..)| *chain == at).enumerate() {
            let name = format!("{}/{}.{}", hex::encode(device), hex::encode(actor), index as u64 / RUN);
            let (_, map) = loaded.get(ROOT, name).unwrap().unwrap();
            let (value, _) = loaded.get(&map, format!("{:02x}", index as u64 % RUN)).unwrap().unwrap();
            assert_eq!(value.as_bytes().unwrap(), record.as_slice());
        }
    }
}

#[test]
fn a_chain_across_runs_is_automerges() {
    let records: Vec<_> =
        (0..600u32).map(|n| (0, n.to_le_bytes().repeat(n as usize % 40), i64::from(n) * 1_000_003)).collect();
    compare(&[([7; 32], [9; 16])], &records);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn changes_are_automerges(
        records in proptest::collection::vec(
            (0usize..3, proptest::collection::vec(any::<u8>(), 0..300), 0i64..=(Hlc::MAX_MS / 1000) as i64),
            1..40,
        ),
        keys in any::<[u8; 3]>(),
    ) {
        let chains: Vec<_> = keys.iter().enumerate().map(|(n, key)| ([*key; 32], [n as u8 * 80 + 1; 16])).collect();
        compare(&chains, &records);
    }

    #[test]
    fn long_records_too(length in 0usize..5000) {
        compare(&[([1; 32], [2; 16])], &[(0, vec![0xa5; length], 1_700_000_000)]);
    }
}
