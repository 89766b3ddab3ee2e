use crate::wrong::rows;
rows! {}
pub(crate) const KILLS: usize = 200;
pub(crate) const WAYS: usize = 4;
