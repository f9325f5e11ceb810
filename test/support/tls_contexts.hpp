// SPDX-License-Identifier: BSL-1.0
// TLS contexts with a certificate that the test has made for itself, in memory.

#ifndef ASIO_SHM_TEST_SUPPORT_TLS_CONTEXTS_HPP
#define ASIO_SHM_TEST_SUPPORT_TLS_CONTEXTS_HPP

#include "deadline.hpp"

#include <boost/asio/ssl.hpp>

#include <memory>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace shm::test {

namespace ssl = boost::asio::ssl;

/// A new private key and a certificate for the host "localhost" that it has signed itself.
class tls_identity
{
public:
  tls_identity()
    : key_(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")), certificate_(check(X509_new()))
  {
    check(key_.get());
    X509* const x509 = certificate_.get();
    check(X509_set_version(x509, 2));
    check(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1));
    check(X509_gmtime_adj(X509_getm_notBefore(x509), -3600));
    check(X509_gmtime_adj(X509_getm_notAfter(x509), 3600));
    X509_NAME* const name = X509_get_subject_name(x509);
    const auto* const text = reinterpret_cast<const unsigned char*>("localhost");
    check(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, text, -1, -1, 0));
    check(X509_set_issuer_name(x509, name));
    check(X509_set_pubkey(x509, key_.get()));
    const std::unique_ptr<X509_EXTENSION, release> host(
        check(X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost")));
    check(X509_add_ext(x509, host.get(), -1));
    check(X509_sign(x509, key_.get(), EVP_sha256()));
  }

  EVP_PKEY* key() const { return key_.get(); }
  X509* certificate() const { return certificate_.get(); }

  /// What an OpenSSL call has returned, unless that means failure.
  template <class Result>
  static Result check(Result result)
  {
    if (!result)
      throw std::runtime_error("OpenSSL failed");
    return result;
  }

private:
  struct release
  {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(X509* p) const { X509_free(p); }
    void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
  };

  std::unique_ptr<EVP_PKEY, release> key_;
  std::unique_ptr<X509, release> certificate_;
};

/// For servers that show this identity.
inline ssl::context tls_server_context(const tls_identity& identity)
{
  ssl::context result(ssl::context::tls_server);
  tls_identity::check(SSL_CTX_use_certificate(result.native_handle(), identity.certificate()));
  tls_identity::check(SSL_CTX_use_PrivateKey(result.native_handle(), identity.key()));
  return result;
}

/// For clients that accept this identity only, from the host "localhost".
inline ssl::context tls_client_context(const tls_identity& identity)
{
  ssl::context result(ssl::context::tls_client);
  tls_identity::check(X509_STORE_add_cert(SSL_CTX_get_cert_store(result.native_handle()), identity.certificate()));
  result.set_verify_mode(ssl::verify_peer);
  result.set_verify_callback(ssl::host_name_verification("localhost"));
  return result;
}

/// Suite fixture: a server's and a client's context that fit, and the watchdog.
class tls_contexts : public watchdog
{
public:
  static const tls_identity& identity()
  {
    static const tls_identity result;
    return result;
  }

  ssl::context for_server = tls_server_context(identity());
  ssl::context for_client = tls_client_context(identity());
};

} // namespace shm::test

#endif
