// Stands before the variables of a text.
extern "C" unsigned char snn_shared_begin[64];
alignas(64) unsigned char snn_shared_begin[64];
