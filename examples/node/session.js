// Sessions: JSON Web Tokens with HS256 (RFC 7519), as identity providers issue them to browsers.

import { createHmac, timingSafeEqual } from 'node:crypto';

import { HttpError } from './answers.js';

const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="revdesk", error="invalid_token"' };

function rejected() {
  return new HttpError(401, 'invalid_token', 'API key or session rejected', CHALLENGE);
}

function decode(part) {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    throw rejected();
  }
}

/** The claims of a token with a valid signature that has not expired. */
function verify(token, secret) {
  const [header, payload, signature, ...rest] = token.split('.');
  if (signature === undefined || rest.length > 0) {
    throw rejected();
  }
  // The algorithm is this server's choice, never the token's.
  const expected = createHmac('sha256', secret).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (decode(header)?.alg !== 'HS256' || given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw rejected();
  }
  const claims = decode(payload);
  const now = Date.now() / 1000;
  if (typeof claims !== 'object' || claims === null || !(claims.exp > now) || claims.nbf > now) {
    throw rejected();
  }
  return claims;
}

/**
 * The claims of the request's session; {} without one.
 *
 * Keys are not looked at: revdesk_authenticate() finds them in the headers by itself.
 */
export function claimsOf(headers) {
  const token = /^bearer +(.*)$/is.exec(headers.authorization ?? '')?.[1];
  const secret = process.env.JWT_SECRET;
  if (!secret || token === undefined || token.startsWith('revdesk_')) {
    return {};
  }
  return verify(token, secret);
}
