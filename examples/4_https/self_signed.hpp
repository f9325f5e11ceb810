// SPDX-License-Identifier: BSL-1.0
// A new key and a certificate for "localhost" that it has signed itself, so that the example needs no files of keys.
#ifndef ASIO_SHM_EXAMPLES_4_HTTPS_SELF_SIGNED_HPP
#define ASIO_SHM_EXAMPLES_4_HTTPS_SELF_SIGNED_HPP

#include <boost/asio/ssl/context.hpp>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

// Makes this the identity of the context and writes the certificate, which clients need to trust it, to the file. The
// key stays in memory. (A real server calls use_certificate_chain_file() and use_private_key_file() instead.)
inline void use_self_signed_certificate(boost::asio::ssl::context& context, const std::string& file_name)
{
  const auto check = [](bool done)
  {
    if (!done)
      throw std::runtime_error("cannot make a certificate");
  };

  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
    EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(X509_new(), &X509_free);
  check(key && certificate);

  X509* const x509 = certificate.get();
  const long day = 24 * 60 * 60;
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -day);
  X509_gmtime_adj(X509_getm_notAfter(x509), day);
  X509_set_pubkey(x509, key.get());
  X509_NAME* const name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(
    name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> host(
    X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost"), &X509_EXTENSION_free);
  check(host && X509_add_ext(x509, host.get(), -1) == 1);
  check(X509_sign(x509, key.get(), EVP_sha256()) > 0);

  check(SSL_CTX_use_certificate(context.native_handle(), x509) == 1);
  check(SSL_CTX_use_PrivateKey(context.native_handle(), key.get()) == 1);

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(file_name.c_str(), "w"), &std::fclose);
  if (!file || PEM_write_X509(file.get(), x509) != 1)
    throw std::runtime_error("cannot write " + file_name);
}

#endif
