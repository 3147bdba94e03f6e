//! What stands in for the files of somebody who has none, so that a login takes the same time and leaves the same
//! traces: a record that is read and thrown away, and sixteen states.

use sha2::{Digest as _, Sha256};
use totp_core::event::Place;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::origin::Origin;
use totp_core::record::EnrollmentId;
use totp_core::secret::Secret;
use totp_core::state::{Spent, State, TotpSpent, Visit};
use totp_core::time::UnixTime;
use zeroize::Zeroizing;

use super::blocks::Blocks;
use crate::entropy;

/// The record that is read for whoever has none.
pub(super) const RECORD: &str = ".decoy.toml";

/// A file that is never there.
pub(super) const NOBODY: &str = ".nobody";

/// So many states, so that strangers rarely write the same one at once.
const STATES: u8 = 16;

/// The name of the state that stands in for `user`'s: its file's and the one inside.
pub(super) fn of(user: &UserName) -> UserName {
    named(user.bucket(STATES), user)
}

/// All of them.
pub(super) fn all(any: &UserName) -> impl Iterator<Item = UserName> {
    (0..STATES).map(move |n| named(n, any))
}

fn named(n: u8, fallback: &UserName) -> UserName {
    // Never fails; but if it did, nobody's own state may be the decoy.
    UserName::new(&format!(".decoy-{n:02}")).unwrap_or_else(|_| fallback.clone())
}

/// As long in text as any time of today's.
const LONG_AGO: UnixTime = UnixTime(1_767_225_600);

/// What a decoy begins with: about as much as the state of somebody who logs in now and then.
pub(super) fn first_blocks(decoy: &UserName) -> Blocks {
    let spent = Spent::Totp(TotpSpent { used: Some(LONG_AGO), ..TotpSpent::default() });
    let authenticator = AuthenticatorName::new(AuthenticatorName::DEFAULT);
    let spent = authenticator.map(|name| (name, spent)).into_iter().collect();
    let mut state = State::new(EnrollmentId::fresh([0; 8]), 1, spent);
    state.last_login = Some(Visit { time: LONG_AGO, place: Place::new("sshd", "192.0.2.1") });
    state.remember(Origin::Net4([192, 0, 2]), LONG_AGO);
    Blocks::first(decoy, &state)
}

/// An ordinary record with a secret that is good for nothing, and as many recovery codes as an enrollment issues by
/// default.
pub(super) const RECORD_TEXT: &str = include_str!("decoy.toml");

/// The same with another secret, as it is put in place: no two machines have the same. `None` where there is no entropy.
pub(super) fn fresh_record_text() -> Option<Zeroizing<String>> {
    let secret = Secret::fresh(&*entropy::secret::<{ Secret::FRESH }>().ok()?);
    Some(RECORD_TEXT.replace(SECRET, &secret.to_base32()).into())
}

/// The secret of the text above.
const SECRET: &str = "LJNFUWS2LJNFUWS2LJNFUWS2LJNFUWS2";

/// What the places of strangers' locks are computed with, besides the name: everybody sees them in `/proc/locks`, and may
/// neither try names on them nor make up a name with the place of another.
pub(super) type PlacesKey = [u8; 32];

/// The key that comes with a decoy's record.
pub(super) fn places_key(record: &str) -> PlacesKey {
    Sha256::digest(record).into()
}

#[cfg(test)]
mod tests {
    use totp_core::record::{Entry, parse, print};

    use super::*;

    #[test]
    fn a_decoy_is_read_like_anybody_elses_files() {
        let record = parse(RECORD_TEXT).unwrap();
        assert!(matches!(record, Entry::Enrolled(_)));
        assert_eq!(print(&record).unwrap().as_str(), RECORD_TEXT);
        let decoy = of(&UserName::new("mallory").unwrap());
        let blocks = first_blocks(&decoy);
        assert_eq!(blocks.highest(), 1);
        assert_eq!(blocks.meter().noted, 1);
    }

    #[test]
    fn each_decoy_that_is_put_in_place_is_as_long_as_the_others_and_has_a_key_of_its_own() {
        let [one, two] = [(); 2].map(|()| fresh_record_text().unwrap());
        for text in [&one, &two] {
            assert_eq!(text.len(), RECORD_TEXT.len());
            assert_eq!(print(&parse(text).unwrap()).unwrap().as_str(), text.as_str());
            assert_ne!(places_key(text), places_key(RECORD_TEXT));
        }
        assert_ne!(places_key(&one), places_key(&two));
    }

    #[test]
    fn no_user_has_a_decoys_file() {
        let user = UserName::new(".decoy-03").unwrap();
        assert_ne!(user.file_name(), ".decoy-03");
        assert_eq!(all(&user).count(), 16);
        assert_eq!(of(&user), of(&user));
    }
}
