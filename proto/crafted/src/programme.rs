//! Changes of the programme, made with Automerge itself: what of them is wrong is who signs.

use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, Automerge, AutomergeError, Change, ObjType, ROOT, ReadDoc};
use popmesh_proto::clock::Hlc;
use popmesh_proto::document::Document;
use popmesh_proto::id::{ChainId, Hash, Nonce};
use popmesh_proto::identity::{SecretKey, SignedCertificate, armor};
use popmesh_proto::record::Start;

use crate::Author;

/// The first change of a chain of the programme: it puts a product, or gives one another price, on top of `programme`, a
/// file of the document as it is. Its bytes, and its hash.
///
/// # Errors
/// If `programme` is no file of the document.
pub fn first_change(
    programme: &[u8],
    chain: &ChainId,
    start: &Start,
    at: Hlc,
    (sku, price): (&str, i64),
) -> Result<(Vec<u8>, Hash), AutomergeError> {
    let mut document = Automerge::load(programme)?.with_actor(ActorId::from(*chain.as_bytes()));
    let bytes = minicbor::to_vec(start).unwrap_or_default();
    let options = CommitOptions::default()
        .with_time((at.ms() / 1000) as i64)
        .with_message(armor("popmesh-start-1", &bytes));
    let made = document.transact_with::<_, _, AutomergeError, _>(
        |_| options,
        |transaction| {
            let (_, products) = transaction.get(ROOT, "products")?.ok_or(AutomergeError::Fail)?;
            let entry = match transaction.get(&products, sku)? {
                Some((value, id)) if value.is_object() => id,
                _ => transaction.put_object(&products, sku, ObjType::Map)?,
            };
            transaction.put(&entry, "name", "Crafted")?;
            transaction.put(&entry, "price", price)?;
            transaction.put(&entry, "tax", 0i64)
        },
    );
    let hash = made.map_err(|failure| failure.error)?.hash.ok_or(AutomergeError::Fail)?;
    let change: Change = document.get_change_by_hash(&hash).ok_or(AutomergeError::Fail)?;
    Ok((change.raw_bytes().to_vec(), Hash(hash.0)))
}

/// A chain of the programme of one change, which puts a product; by who shows this certificate, whatever it allows.
///
/// # Errors
/// If `programme` is no file of the document.
pub fn programme_chain(
    secret: &SecretKey,
    certificate: &SignedCertificate,
    at: Hlc,
    nonce: Nonce,
    programme: &[u8],
    product: (&str, i64),
) -> Result<Author, AutomergeError> {
    let mut author = Author::unbegun(secret, certificate.event(), &Document::Programme, nonce);
    let certificate = certificate.bytes().to_vec();
    let start = Start { document: Document::Programme, certificate, nonce, previous: None };
    let (body, hash) = first_change(programme, &author.chain, &start, at, product)?;
    author.append_hashed(body, hash);
    Ok(author)
}
