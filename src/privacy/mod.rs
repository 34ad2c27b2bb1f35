//! What people can ask of those who keep their data: to see all of it ([`export`]), and that it be no more ([`erase`]).
//!
//! The store knows how each step is written; here the steps are put in their order, over the database and the files. An
//! erasing is an order in the database: whoever has written it there (the REST door, the command line), the server that runs
//! carries it out, and what an end of the program leaves half done is taken up at the next start.
//!
//! Deliberately not here: copies that are not ours (backups, Meta's own, log files), and rows of the business's own tables
//! that the flow says nothing of (`on_erase`, `on_export`).
//!
//! Invariants: from the commit of the first step on, nothing leads to the person any more, and whoever writes from their number
//! is somebody new; nothing that comes late writes them back; a file goes only when nobody else has the same content.

pub mod erase;
pub mod export;
mod waste;
