/* lstmcore: models of recurrent networks, as Python's `model.save` writes them, run without Python.
 *
 * C99. A model is loaded once and may be used by any number of threads; a stream of it, which takes a sequence piece by
 * piece, by one thread at a time. Functions return LSTMCORE_OK or an error code; lstmcore_last_error() then says what
 * was wrong. No function ends the program, whatever it is given that is not a dangling pointer; what it would have
 * written is then not to be relied on, and nothing else has changed unless its description says so.
 *
 * What can be run: Sequential models of float32 or float64 made of SimpleRNN, GRU, LSTM, MinGRU, MinLSTM and SLSTM with
 * all their options (activations by name, those that the core has), Bidirectional, Dense, Conv1D, MaxPooling1D,
 * AveragePooling1D, GlobalMaxPooling1D, LayerNormalization, RMSNormalization and BatchNormalization (of the last axis),
 * Embedding, Masking, Activation, Flatten, TimeDistributed, and the layers that do nothing but in training. The
 * activations of Dense, Conv1D and Activation are linear, tanh, sigmoid, softmax, relu, relu6, leaky_relu,
 * hard_sigmoid, hard_tanh, softsign. Everything else is refused by its name with LSTMCORE_UNSUPPORTED when the model is
 * loaded. The results are bit for bit those of Python's `predict` on the same CPU, those of a softmax to rounding.
 *
 * Arrays are contiguous, the last axis first in memory: inputs (batch, steps, features), or of a model of vectors
 * (batch, features), or of one that takes integers, int64_t, without the axis of features. Their sizes are given in
 * bytes, and must be right: a wrong one is refused. */
#ifndef LSTMCORE_H
#define LSTMCORE_H

#include <stddef.h>
#include <stdint.h>

#define LSTMCORE_API_VERSION 1 /* raised when functions are added */

#if defined(__GNUC__)
#define LSTMCORE_API __attribute__((visibility("default")))
#else
#define LSTMCORE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Error codes. */
enum {
    LSTMCORE_OK = 0,
    LSTMCORE_ARGUMENT = 1,    /* a null pointer, a wrong size, a number out of bounds */
    LSTMCORE_FILE = 2,        /* the file cannot be opened or read */
    LSTMCORE_FORMAT = 3,      /* what was given is no model, or is damaged or contradicts itself */
    LSTMCORE_UNSUPPORTED = 4, /* a newer format, a layer or option that cannot be run without Python or as a stream */
    LSTMCORE_MEMORY = 5,      /* there is not enough memory */
    LSTMCORE_BUSY = 6,        /* another thread is using the stream */
    LSTMCORE_INTERNAL = 7 /* anything else, such as an instruction set that the environment names and is not there */
};

/* What numbers an array has. */
enum { LSTMCORE_FLOAT32 = 0, LSTMCORE_FLOAT64 = 1, LSTMCORE_INT64 = 2 };

typedef struct lstmcore_model lstmcore_model;
typedef struct lstmcore_stream lstmcore_stream;

/* What goes into a model, or comes out of it. */
typedef struct lstmcore_port {
    int dtype;       /* LSTMCORE_FLOAT32, ... */
    int is_sequence; /* 1: (batch, steps, features), 0: (batch, features) */
    size_t steps;    /* of a sequence, 0: any number; otherwise 1 */
    size_t features; /* 0: there is no axis of features, as of integers */
} lstmcore_port;

/* The version of this interface that the library has: LSTMCORE_API_VERSION of its header. */
LSTMCORE_API int lstmcore_api_version(void);

/* What was wrong in the last call of this thread that returned an error; "" if there was none. It stays until the
 * thread's next call that returns an error. */
LSTMCORE_API const char* lstmcore_last_error(void);

/* Loads a model: from a file, or from its bytes, which are no longer needed afterwards. */
LSTMCORE_API int lstmcore_model_load(const char* path, lstmcore_model** model);
LSTMCORE_API int lstmcore_model_load_memory(const void* data, size_t size, lstmcore_model** model);

/* Frees a model; null is nothing. Streams of it may live on. */
LSTMCORE_API void lstmcore_model_free(lstmcore_model* model);

LSTMCORE_API int lstmcore_model_input(const lstmcore_model* model, lstmcore_port* port);
LSTMCORE_API int lstmcore_model_output(const lstmcore_model* model, lstmcore_port* port);

/* How many steps the outputs have, of inputs with that many; 1, if they are no sequences. */
LSTMCORE_API int lstmcore_model_output_steps(const lstmcore_model* model, size_t steps, size_t* output_steps);

/* Runs the model on whole sequences.
 *
 * steps: of the inputs; of a model of vectors 1.
 * lengths: how many steps of every row count, from the first on, `batch` numbers; or null, if all do. The recurrent
 * layers leave the others out, as with a mask in Python. */
LSTMCORE_API int lstmcore_model_run(const lstmcore_model* model, size_t batch, size_t steps, const size_t* lengths,
                                    const void* inputs, size_t input_bytes, void* outputs, size_t output_bytes);

/* Makes a stream for chunks (batch, 1 to most_steps, features). It begins with states of zeros. */
LSTMCORE_API int lstmcore_stream_new(const lstmcore_model* model, size_t batch, size_t most_steps,
                                     lstmcore_stream** stream);

/* Frees a stream, which no thread is using; null is nothing. */
LSTMCORE_API void lstmcore_stream_free(lstmcore_stream* stream);

/* Runs the next steps: inputs (batch, steps, features) give outputs (batch, steps, features), one for every step, also
 * where the model gives one for the whole sequence. After an error in the numbers of the inputs (an integer that the
 * model does not know) reset or restore it. */
LSTMCORE_API int lstmcore_stream_run(lstmcore_stream* stream, size_t steps, const void* inputs, size_t input_bytes,
                                     void* outputs, size_t output_bytes);

/* Begins anew. */
LSTMCORE_API int lstmcore_stream_reset(lstmcore_stream* stream);

/* All that a stream remembers, as bytes: a stream of the same model and batch, also in another process on a machine of
 * the same byte order, goes on from there. */
LSTMCORE_API int lstmcore_stream_snapshot_size(const lstmcore_stream* stream, size_t* bytes);
LSTMCORE_API int lstmcore_stream_snapshot(lstmcore_stream* stream, void* snapshot, size_t bytes);
LSTMCORE_API int lstmcore_stream_restore(lstmcore_stream* stream, const void* snapshot, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
