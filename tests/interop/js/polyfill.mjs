// Node 20 lacks Promise.withResolvers, which @libp2p/yamux 8 and @libp2p/ping 3 use.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((a, b) => { resolve = a; reject = b })
  return { promise, resolve, reject }
}
