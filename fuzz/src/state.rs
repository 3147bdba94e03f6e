//! The blocks of a state file: A and B, and the meter. The input is the text of a block; its seal is put behind it, because
//! nothing gets past a wrong one. A volatile state is the same blocks in another file.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use totp_core::name::UserName;
use totp_core::state::{BLOCK, BlockError, parse_meter, parse_state, print_meter, print_state};

/// What is read is printed and read again as the same; a seal that doesn't fit and another user's block are refused.
pub fn check(data: &[u8]) {
    let user = owner(data);
    let _ = (parse_state(&user, data), parse_meter(&user, data)); // as it stands: any bytes at all
    let Some(block) = sealed(data) else { return };
    let state = parse_state(&user, &block);
    if let Ok(state) = &state {
        let printed = print_state(&user, state);
        assert_eq!(parse_state(&user, &printed).as_ref(), Ok(state));
        assert_eq!(state.clone().recalled(&Default::default()), *state);
        refused_if_touched(&user, &printed, &|user, block| parse_state(user, block).err());
    }
    let meter = parse_meter(&user, &block);
    if let Ok(meter) = &meter {
        let printed = print_meter(&user, meter);
        assert_eq!(parse_meter(&user, &printed).as_ref(), Ok(meter));
        refused_if_touched(&user, &printed, &|user, block| parse_meter(user, block).err());
    }
    assert!(state.is_err() || meter.is_err(), "one block is both");
}

fn refused_if_touched(
    user: &UserName,
    block: &[u8; BLOCK],
    error: &dyn Fn(&UserName, &[u8]) -> Option<BlockError>,
) {
    let another = UserName::new(&format!("not {}", user.file_name())).unwrap();
    assert_eq!(error(&another, block), Some(BlockError::OtherUser));
    let end = block.iter().rposition(|byte| *byte != b'\n').unwrap();
    for at in [0, end / 3, end / 2, end] {
        let mut touched = *block;
        touched[at] ^= 1;
        assert!(error(user, &touched).is_some(), "byte {at} changed");
    }
    assert!(error(user, &block[..BLOCK - 1]).is_some(), "cut off");
}

/// Whose block it says it is; alice's if it doesn't.
fn owner(data: &[u8]) -> UserName {
    let text = String::from_utf8_lossy(data);
    let named = text.lines().find_map(|line| line.strip_prefix("user "));
    let name = named.and_then(totp_core::name::unword);
    let name = name.and_then(|name| UserName::new(&name).ok());
    name.unwrap_or_else(|| UserName::new("alice").unwrap())
}

fn sealed(text: &[u8]) -> Option<Vec<u8>> {
    let mut block = text.to_vec();
    let digest = HEXLOWER.encode(&Sha256::digest(text));
    block.extend_from_slice(format!("sha256 {digest}").as_bytes());
    (block.len() < BLOCK).then(|| {
        block.resize(BLOCK, b'\n');
        block
    })
}
