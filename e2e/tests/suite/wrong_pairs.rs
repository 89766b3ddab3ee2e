use crate::wrong::rows;
rows! {}
