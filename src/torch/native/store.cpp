// The key-value store through which the processes of a job find each other.
#include "abi.h"
#include "c10d.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

extern "C" {

// Connects to the store at host:port, or serves it there; all keys begin with `prefix`.
char* lt_store_open(const char* host, uint16_t port, bool serve, size_t world_size, const char* prefix,
                    int64_t timeout_ms, StoreHandle** out) {
  return guarded([&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serve;
    options.numWorkers = world_size;
    options.waitWorkers = false;  // the roll call names those who are missing
    options.multiTenant = true;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *out = new StoreHandle{c10::make_intrusive<c10d::PrefixStore>(prefix, std::move(store))};
  });
}

void lt_store_free(StoreHandle* handle) { delete handle; }

char* lt_store_set(StoreHandle* handle, const char* key, const char* value) {
  return guarded([&] { handle->store->set(key, std::string(value)); });
}

// The value of a key that is there already, to be freed with lt_free_message; null where it is not.
char* lt_store_get(StoreHandle* handle, const char* key, char** out) {
  return guarded([&] {
    *out = nullptr;
    if (!handle->store->check({key})) return;
    auto value = handle->store->get(key);
    *out = strndup(reinterpret_cast<const char*>(value.data()), value.size());
  });
}

}  // extern "C"
