//! What every other room uses: ids, time, money, names, and small tools for text. Imports no other room.

pub mod count;
pub mod external;
pub mod health;
pub mod ids;
pub mod money;
pub mod names;
pub mod nearest;
pub mod once;
pub mod time;
